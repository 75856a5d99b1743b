"""Run logs in a folder, as the hosts' own file-system and chunked stores write them: a file or a folder per run.

Only regular files are opened: a FIFO or a device would block whoever reads it. Anything else is passed over.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from runlog_otel.core.model import StoredRun
from runlog_otel.errors import RunLogFormatError, RunNotFoundError, RunOutsideError, SourceError
from runlog_otel.loggers import package_logger
from runlog_otel.stores.entries import Document, document_from_parts

logger = package_logger(__name__)

_HEADER = "RunLog.json"
_WRITTEN = re.compile(r"-(\d{18,})$")
"""The moment at the end of the names of magnus's chunks, in nanoseconds since the epoch."""
_OF_ONE_FILE = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENXIO,
    }
)
"""What is wrong with a file; any other error is one of its file system, which may be gone."""


def runs_in_folder(folder: Path, *, files: bool = True, chunks: bool = True) -> Iterator[StoredRun]:
    """The runs that a file-system store (`files`) or a chunked store (`chunks`) has in a folder; raises OSError."""
    for name, logs, is_run in _folders(folder):
        if is_run and chunks:
            yield StoredRun(name.removesuffix("/"), max(logs.values()))
        elif files and not is_run:
            yield from (StoredRun(f"{name}{log.removesuffix('.json')}", at) for log, at in logs.items())


def is_file(path: Path) -> bool:
    """Whether there is a file of that name: false if the name is too long or not a valid name.

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


def changed_in(folder: Path, run_id: str) -> int | None:
    """When the file or the chunks of a run were last written; None if that cannot be known."""
    try:
        path, header_path = _paths(folder, run_id)
        if _is_there(path):
            return path.stat().st_mtime_ns
        return max(file.stat().st_mtime_ns for file in os.scandir(header_path.parent) if file.name.endswith(".json"))
    except (OSError, ValueError, RunOutsideError):
        return None


def runs_missing(folder: Path, run_ids: Iterable[str]) -> list[str]:
    """Those of some runs that are not in a folder; none when the folder itself is not there."""
    if not folder.is_dir():
        return []
    return [run_id for run_id in run_ids if not any(map(_is_there, _paths(folder, run_id)))]


def _folders(folder: Path) -> Iterator[tuple[str, dict[str, int], bool]]:
    """A folder and those below it: its name, its logs and when they were written, and whether they are of one run.

    The hosts take a run id for a path, so `feature/x` makes a folder in a folder. A hidden folder and a link to one may
    be a run, but are not searched for others: a link may lead anywhere, even in a circle.
    """
    waiting = [("", True)]
    while waiting:
        name, is_searched = waiting.pop()
        logs: dict[str, int] = {}
        with _passing_over(folder / name) if name else suppress(FileNotFoundError):
            for entry in sorted(os.scandir(folder / name), key=lambda entry: entry.name, reverse=True):
                with _passing_over(entry):
                    if not entry.is_dir():
                        if entry.name.endswith(".json") and (written_ns := _written_ns(entry)) is not None:
                            logs[entry.name] = written_ns
                    elif is_searched:
                        is_plain = not (entry.name.startswith(".") or entry.is_symlink())
                        waiting.append((f"{name}{entry.name}/", is_plain))
            is_run = bool(name) and _HEADER in logs
            if name.endswith(".json/") and not is_run:
                _warn_once(str(folder / name), "it is a folder")
            if is_run or is_searched:
                yield name, logs, is_run


def _written_ns(file: os.DirEntry[str] | Path) -> int | None:
    """When a regular file was last written; None of anything else. Raises OSError."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        _warn_once(os.fspath(file), "it is no regular file")
        return None
    return status.st_mtime_ns


@contextmanager
def _passing_over(file: os.DirEntry[str] | Path) -> Iterator[None]:
    """Go on without a file, with a warning; raises OSError where the fault is not the file's own."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_ONE_FILE:
            raise
        if error.errno != errno.ENOENT or file.is_symlink():  # else it was deleted meanwhile
            _warn_once(os.fspath(file), error.strerror or "it cannot be read")


@lru_cache(maxsize=4096)
def _warn_once(file: str, problem: str) -> None:
    logger.warning("%s is passed over: %s", file, problem)


def ordered(runs: Iterable[StoredRun], since_ns: int) -> list[StoredRun]:
    """Those that were written at or after a moment, in the order of their last write."""
    return sorted((run for run in runs if run.changed_ns >= since_ns), key=lambda run: (run.changed_ns, run.run_id))


def document_in(folder: Path, run_id: str) -> Document:
    """The run log of that id.

    Raises:
        RunNotFoundError: there is none, or (RunOutsideError) it would not be in the folder.
        RunLogFormatError: it cannot be read.
    """
    path, header_path = _paths(folder, run_id)
    if _is_there(path):
        return document_in_file(path)
    if not _is_there(header_path):
        raise RunNotFoundError(run_id, str(folder))
    header, chunks = document_in_file(header_path), header_path.parent
    files = sorted(chunks.glob("*Log-*.json"), key=_written)
    document, lost = document_from_parts(header, map(document_in_file, files))
    if lost:
        raise RunLogFormatError(str(chunks), f"what {lost[0]!r} belongs to is not there")
    for path in sorted(chunks.glob("Parameter-*.json"), key=_changed):
        document.setdefault("parameters", {}).update(document_in_file(path))
    return document


def refuse_odd_files(folder: Path, run_id: str) -> None:
    """Look at the files of a run before a host opens them.

    Raises:
        RunOutsideError: they would not be in the folder.
        RunLogFormatError: one would block, as it is a FIFO or a device.
    """
    path, header_path = _paths(folder, run_id)
    for file in (path, *header_path.parent.glob("*")):
        try:
            mode = file.stat().st_mode
        except (OSError, ValueError):
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise RunLogFormatError(str(file), "it is no regular file")


def document_in_file(path: Path) -> Document:
    """The JSON object in a file.

    Raises:
        RunLogFormatError: there is none in it, it went, or it may not be read.
        SourceError: its file system fails.
    """
    text = _text_of(path)
    if not text:
        raise RunLogFormatError(str(path), "it is empty: its writer was killed, or has just begun")
    try:
        document: Any = json.loads(text)
    except RecursionError as error:
        raise RunLogFormatError(str(path), "it is nested too deeply") from error
    except ValueError as error:
        raise RunLogFormatError(str(path), str(error)) from error
    if not isinstance(document, dict):
        raise RunLogFormatError(str(path), "it is no JSON object")
    return document


def _text_of(path: Path) -> str:
    try:
        if stat.S_ISREG(path.stat().st_mode):
            # It may have been replaced since: opening it must not wait for a writer.
            with open(path, encoding="utf-8", opener=_open_at_once) as file:
                return file.read()
    except OSError as error:
        if error.errno in _OF_ONE_FILE:
            raise RunLogFormatError(str(path), error.strerror or str(error)) from error
        raise SourceError(str(path), f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # it is no UTF-8
        raise RunLogFormatError(str(path), str(error)) from error
    raise RunLogFormatError(str(path), "it is no regular file")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _paths(folder: Path, run_id: str) -> tuple[Path, Path]:
    """Where a file-system store has a run, and a chunked store its header; raises RunOutsideError."""
    inside = Path(os.path.normpath(run_id))
    if inside.is_absolute() or inside.parts[:1] == (os.pardir,):
        raise RunOutsideError(run_id, str(folder))
    return folder / f"{run_id}.json", folder / run_id / _HEADER


def _is_there(path: Path) -> bool:
    """Whether there is something to read, or to say what is wrong with it: all but folders."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return path.is_symlink()
    except OSError as error:
        return error.errno not in (errno.ENOTDIR, errno.ENAMETOOLONG)
    except ValueError:  # a NUL
        return False


def _changed(path: Path) -> tuple[int, str]:
    try:
        return _written_ns(path) or 0, path.name
    except OSError:
        return 0, path.name


def _written(path: Path) -> tuple[int, int, str]:
    """The order of chunks: parents before children where no moment says it."""
    match = _WRITTEN.search(path.stem)
    return (int(match[1]) if match else 0, len(path.stem), path.name)
