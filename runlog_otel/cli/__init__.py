"""The command line: `runlog-otel`."""

import sys

from runlog_otel.cli.app import app
from runlog_otel.errors import RunlogOtelError
from runlog_otel.stores.errors import StoreError


def main() -> None:
    """Run the command; an error of ours is one line, and exit status 2, or 1 when a database failed."""
    try:
        app()
    except RunlogOtelError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1 if isinstance(error, StoreError) else 2)
