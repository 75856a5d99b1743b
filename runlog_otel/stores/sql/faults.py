"""What a database error means: to be tried again or not, and one line for people without a secret."""

from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from runlog_otel.redaction import MASK, bounded, redacted
from runlog_otel.stores.errors import SchemaVersionError, StoreError, StoreUnavailableError

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
    ("password authentication failed", False, "the server refused the password", "check connection_string"),
    ("no password supplied", False, "the server wants a password", "check connection_string"),
    ("no pg_hba.conf entry", False, "the server does not let this user in from here", "check pg_hba.conf"),
    ("permission denied", False, "the role has no right to do this", "grant it SELECT, INSERT, UPDATE and DELETE"),
    ("no space left", False, "the disk of the server is full", "free space, or `runlog-otel db prune`"),
    ("statement timeout", False, "the server needed longer than timeout_seconds", "raise it, or look for a lock"),
)
_NO_SUCH_TABLE = ("no such table", "undefinedtable")
_UNREACHABLE = "the server cannot be reached"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known of a database error."""

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
    text = _text(error, password)
    lowered = text.lower()
    for needle, is_transient, reason, advice in _MESSAGES:
        if needle in lowered:
            return Fault(is_transient, reason, advice)
    if type(error.orig).__name__.lower() in _NO_SUCH_TABLE or any(needle in lowered for needle in _NO_SUCH_TABLE):
        return Fault(False, "the tables are not there", "run `runlog-otel db upgrade`", is_schema=True)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return Fault(str(sqlstate).startswith(_TRANSIENT_SQLSTATES) or error.connection_invalidated, text)
    if "does not exist" in lowered:
        return Fault(False, text, "check connection_string")
    if error.connection_invalidated or _is_from_connecting(error):
        return Fault(True, f"{_UNREACHABLE}: {text}", "check that it runs, and the host and port")
    return Fault(False, text)


def _is_from_connecting(error: DBAPIError) -> bool:
    # SQLAlchemy gives no statement when the connection itself could not be made.
    return error.statement is None and type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout")


def _text(error: DBAPIError, password: str | None) -> str:
    text = " ".join(str(error.orig).split())
    if password:
        text = text.replace(password, MASK)
    return bounded(redacted(text), _MAX_REASON_BYTES)
