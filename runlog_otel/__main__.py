"""`python -m runlog_otel` is the command `runlog-otel`."""

from runlog_otel.cli import main

if __name__ == "__main__":
    main()
