"""`python -m runlog_otel` is the command `runlog-otel`."""

import sys

from runlog_otel.cli import main

if __name__ == "__main__":
    sys.exit(main())
