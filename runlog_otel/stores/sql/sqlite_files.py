"""How a SQLite file is opened, by the rights on it; and which file is so plain that it is read without SQLAlchemy."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runlog_otel.errors import StoreError, StoreUnavailableError

_WAL = b"\x02"
"""What a SQLite file has at byte 18 when it is journalled by WAL."""


def is_unwritable(file: Path) -> bool:
    """Whether a SQLite file is there and may be read, but not written, or not the files beside it."""
    may_write = os.access(file, os.W_OK) and (
        os.access(file.parent, os.W_OK) or all(os.access(path, os.W_OK) for path in _beside(file))
    )
    return os.access(file, os.R_OK) and not may_write


def _beside(file: Path) -> tuple[Path, Path]:
    """The newest writes, and the index into them that readers share."""
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def existing_uri(file: Path) -> str:
    """What opens a file that is there, to read and write, and makes none."""
    return f"file:{quote(str(file.absolute()))}?mode=rw"


def read_only_uri(file: Path) -> str:
    """What opens a file that may only be read, with its newest writes; raises StoreError if they cannot be read."""
    wal, index = _beside(file)
    has_writes = wal.exists() and wal.stat().st_size > 0
    if has_writes and not index.exists() and not os.access(file.parent, os.W_OK):
        problem = f"its newest writes are in {wal.name}, which only who may write to its folder can read"
        raise StoreError(f"sqlite:///{file}", problem, "read it as such a user, or copy both files to another folder")
    # Without a WAL there is nothing to lock, and SQLite would fail to make one.
    is_immutable = _has_wal_format(file) and not has_writes and not index.exists()
    return f"file:{quote(str(file.absolute()))}?mode=ro{'&immutable=1' if is_immutable else ''}"


def _has_wal_format(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(19)[18:] == _WAL


def state_of(file: Path) -> tuple[int, int] | None:
    """Changes when a writer changes the pages of a file that is read as immutable, which nothing prevents."""
    stat = file.stat()
    return None if _beside(file)[1].exists() else (stat.st_mtime_ns, stat.st_size)


def refuse_changed(file: Path, before: tuple[int, int] | None) -> None:
    """Raise StoreUnavailableError if a file was changed since `state_of` said how it was."""
    if before is not None and before != state_of(file):
        raise StoreUnavailableError(f"sqlite:///{file}", "it was changed while it was read", "try again")


def _text_from_bytes(text: bytes) -> str:
    return text.decode(errors="surrogateescape")  # one text that is damaged must not end the reading of all


def prepare_foreign(connection: Any, _: Any = None) -> None:
    """Set what is needed to read a database, whose tables are another program's or which may not be written."""
    connection.isolation_level = None  # sqlite3 would begin transactions of its own, and too late
    connection.text_factory = _text_from_bytes


def prepare(connection: Any, _: Any = None) -> None:
    """Set what a store of ours needs."""
    prepare_foreign(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a loss of power
