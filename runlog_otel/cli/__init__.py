"""The command line: `runlog-otel`."""

import sys

from runlog_otel.cli.app import app
from runlog_otel.errors import RunlogOtelError


def main() -> None:
    """Run the command; an error of ours is one line, and exit status 2."""
    try:
        app()
    except RunlogOtelError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
