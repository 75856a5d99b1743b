"""What a database error means: whether a retry may help, and one line to show, without secrets."""

import re
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from runlog_otel.core.redaction import MASK, bounded, redacted
from runlog_otel.errors import SchemaVersionError, StoreError, StoreUnavailableError

_MAX_REASON_BYTES = 300
_TRANSIENT_SQLSTATES = ("40001", "40P01", "08", "57P0")
_MESSAGES: tuple[tuple[str, bool, str, str], ...] = (
    ("is locked", True, "the database is locked by another writer", "raise timeout_seconds, or look for a stuck one"),
    ("readonly database", False, "the database is read-only", "check the rights of the file and of its folder"),
    ("database or disk is full", False, "the disk or the database is full", "free space, or `runlog-otel db prune`"),
    ("is malformed", False, "the database is corrupted", "restore a backup: see docs/stores.md"),
    ("file is not a database", False, "the file is not a SQLite database", "check connection_string"),
    ("unable to open database file", False, "the file cannot be opened", "check its folder and the rights on it"),
    ("disk i/o error", False, "the disk does not work", "check the disk; SQLite does not belong on a network share"),
    ("sasl authentication failed", False, "the server refused the password", "check connection_string"),
    ("password authentication failed", False, "the server refused the password", "check connection_string"),
    ("no password supplied", False, "the server wants a password", "check connection_string"),
    ("no pg_hba.conf entry", False, "the server does not let this user in from here", "check pg_hba.conf"),
    ("must be owner of", False, "the tables are another role's", "let their owner run `runlog-otel db upgrade`"),
    ("read-only transaction", False, "the server only reads", "name the primary, or ?target_session_attrs=read-write"),
    ("no space left", False, "the disk of the server is full", "free space, or `runlog-otel db prune`"),
    ("statement timeout", False, "the server needed longer than timeout_seconds", "raise it, or look for a lock"),
)
_RIGHTS = re.compile(r'permission denied for (table|sequence|schema|database|relation) "?([^\s"]+)', re.IGNORECASE)
_GRANTS = {
    "table": "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO",
    "sequence": "GRANT USAGE ON ALL SEQUENCES IN SCHEMA … TO",
    "schema": "GRANT USAGE, and for `runlog-otel db upgrade` CREATE, ON SCHEMA {name} TO",
    "database": "GRANT CONNECT ON DATABASE {name} TO",
}
_WRONG_OPTION = re.compile(
    "invalid [a-z_]+ value|invalid port number|could not match|unsupported startup parameter"
    "|ssl was required|certificate verify failed|does not match host name",
    re.IGNORECASE,
)
_NO_SUCH_TABLE = ("no such table", "undefinedtable")
_UNREACHABLE = "the server cannot be reached"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a database error means."""

    is_transient: bool
    reason: str
    advice: str = ""
    is_schema: bool = False

    def as_error(self, where: str) -> StoreError:
        """The exception for the caller; `where` is the address without credentials."""
        if self.is_schema:
            return SchemaVersionError(where, self.reason, self.advice)
        return (StoreUnavailableError if self.is_transient else StoreError)(where, self.reason, self.advice)


def fault_from_error(error: DBAPIError, password: str | None = None) -> Fault:
    """What the driver's error means.

    Source: SQLite's `sqlite3ErrStr`; PostgreSQL's appendix A, classes 08, 40 and 57.
    """
    said = " ".join(str(error.orig).split())
    lowered, text = said.lower(), _masked(said, password)
    if fault := _known_by_text(said):
        return fault
    if type(error.orig).__name__.lower() in _NO_SUCH_TABLE or any(needle in lowered for needle in _NO_SUCH_TABLE):
        return Fault(False, "the tables are not there", "run `runlog-otel db upgrade`", is_schema=True)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return Fault(str(sqlstate).startswith(_TRANSIENT_SQLSTATES) or error.connection_invalidated, text)
    if "does not exist" in lowered or _WRONG_OPTION.search(said):
        return Fault(False, text, "check connection_string")
    if error.connection_invalidated or _is_from_connecting(error):
        return Fault(True, f"{_UNREACHABLE}: {text}", "check that it runs, and the host and port")
    return Fault(False, text)


def _known_by_text(said: str) -> Fault | None:
    lowered = said.lower()
    for needle, is_transient, reason, advice in _MESSAGES:
        if needle in lowered:
            return Fault(is_transient, reason, advice)
    if denied := _RIGHTS.search(said):
        kind, name = denied[1].lower(), denied[2]
        grant = _GRANTS.get(kind, _GRANTS["table"]).format(name=name)
        return Fault(False, f"the role has no right on {kind} {name}", f"{grant} the role")
    return None


def _is_from_connecting(error: DBAPIError) -> bool:
    # SQLAlchemy gives no statement when the connection itself could not be made.
    return error.statement is None and type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout")


def _masked(text: str, password: str | None) -> str:
    return bounded(redacted(text.replace(password, MASK) if password else text), _MAX_REASON_BYTES)
