"""Run logs in a folder, as the hosts' own file-system and chunked stores write them: a file or a folder per run."""

import errno
import json
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from runlog_otel.errors import RunLogFormatError, RunNotFoundError, SourceError
from runlog_otel.model import StoredRun
from runlog_otel.stores.entries import Document, document_from_parts

_HEADER = "RunLog.json"
_WRITTEN = re.compile(r"-(\d{18,})$")
"""The moment at the end of the names of magnus's chunks, in nanoseconds since the epoch."""


def is_file(path: Path) -> bool:
    """Whether there is a file of that name: there is none where the name is too long, or no name at all.

    Raises:
        OSError: the folder may not be read.
    """
    try:
        return path.is_file()
    except ValueError:  # a NUL in it
        return False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def runs_in_files(folder: Path) -> Iterator[StoredRun]:
    """The runs that a file-system store has in a folder; raises OSError."""
    for path in folder.glob("*.json"):
        for written_ns in _writes([path]):
            yield StoredRun(path.stem, written_ns)


def runs_in_chunks(folder: Path) -> Iterator[StoredRun]:
    """The runs that a chunked store has in a folder; raises OSError."""
    for path in folder.glob(f"*/{_HEADER}"):
        newest_ns = max(_writes(path.parent.glob("*.json")), default=None)
        if newest_ns is not None:
            yield StoredRun(path.parent.name, newest_ns)


def _writes(paths: Iterable[Path]) -> Iterator[int]:
    """When files were last written; those that are deleted meanwhile, and what is no file, are passed over."""
    with suppress(FileNotFoundError):  # the folder itself
        for path in paths:
            with suppress(FileNotFoundError):
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    yield found.st_mtime_ns


def ordered(runs: Iterable[StoredRun], since_ns: int) -> list[StoredRun]:
    """Those that were written at or after a moment, in the order of their last write."""
    return sorted((run for run in runs if run.changed_ns >= since_ns), key=lambda run: (run.changed_ns, run.run_id))


def document_in(folder: Path, run_id: str) -> Document:
    """The run log of that id.

    Raises:
        RunNotFoundError: there is none.
        RunLogFormatError: it cannot be read.
    """
    path = folder / f"{run_id}.json"
    if is_file(path):
        return document_in_file(path)
    chunks = folder / run_id
    if not is_file(chunks / _HEADER):
        raise RunNotFoundError(run_id, str(folder))
    header = document_in_file(chunks / _HEADER)
    files = sorted(chunks.glob("*Log-*.json"), key=_written)
    document, lost = document_from_parts(header, map(document_in_file, files))
    if lost:
        raise RunLogFormatError(str(chunks), f"what {lost[0]!r} belongs to is not there")
    for path in sorted(chunks.glob("Parameter-*.json"), key=lambda path: (max(_writes([path]), default=0), path.name)):
        document.setdefault("parameters", {}).update(document_in_file(path))
    return document


def document_in_file(path: Path) -> Document:
    """The JSON object in a file.

    Raises:
        RunLogFormatError: there is none in it, it went, or it may not be read.
        SourceError: its file system fails.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError, IsADirectoryError, ValueError, RecursionError) as error:
        raise RunLogFormatError(str(path), str(error)) from error
    except OSError as error:
        raise SourceError(str(path), f"cannot be read: {error.strerror}") from error
    if not isinstance(document, dict):
        raise RunLogFormatError(str(path), "it is no JSON object")
    return document


def _written(path: Path) -> tuple[int, int, str]:
    """The order of chunks: parents before children where no moment says it."""
    found = _WRITTEN.search(path.stem)
    return (int(found[1]) if found else 0, len(path.stem), path.name)
