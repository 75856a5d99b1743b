"""What the tables are called, which version they have, and how names are kept in them. Imports no SQLAlchemy."""

import re

REVISION = "0003"
"""The migration that this code was written for; a test compares it with the newest one."""

DEFAULT_TABLE_NAME = "runnable_logs"

_NOT_STORABLE = re.compile("[\\\\\x00\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def escaped(name: str) -> str:
    """A name without what a database cannot hold, which is escaped as Python does it."""
    return _NOT_STORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", name)


def restored(name: str) -> str:
    """The name that was escaped."""
    return _ESCAPED.sub(lambda match: chr(int(match[0][2:], 16)), name) if "\\" in name else name


def entries_table(table_name: str) -> str:
    """Where the steps, branches, parameters … of runs are."""
    return f"{table_name}_entries"


def version_table(table_name: str) -> str:
    """Where the version of the tables is."""
    return f"{table_name}_version"
