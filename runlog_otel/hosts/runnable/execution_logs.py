"""Reads the files with the output of attempts: in the folder of a step, and later in the host's catalog."""

import re
from pathlib import Path
from typing import Any, BinaryIO

from runlog_otel.core.log_lines import READ_BYTES, Output
from runlog_otel.hosts.runnable import private

_CHUNK = 1024 * 1024
_LONGEST_MARK = 256


def output_of_file(path: Path) -> Output | None:
    """The output in a file; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return output_in(file)
    except OSError:
        return None


def output_in_catalog(catalog: Any, name: str) -> Output | None:
    """The output in a file of the run's catalog; None if the catalog keeps no files, or not this one.

    Raises:
        Exception: whatever the client of a bucket raises.
    """
    if not hasattr(catalog, "get_catalog_location"):
        return None
    path = catalog.get_catalog_location() / name
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return output_in(file)


def output_in(file: BinaryIO) -> Output:
    """The output in a file, without what follows a shell step's own: all of it, or its first and last parts."""
    first = file.read(READ_BYTES * 2 + 1)
    if end := re.search(private.END_OF_OUTPUT, first):
        return Output(_text(first[: end.start()]))
    size = _end_of_output(file, first[-_LONGEST_MARK:], len(first)) if len(first) > READ_BYTES * 2 else len(first)
    if size <= READ_BYTES * 2:
        return Output(_text(first[:size]))
    file.seek(size - READ_BYTES)
    return Output(_text(first[:READ_BYTES]), _text(file.read(READ_BYTES)), size - 2 * READ_BYTES)


def _end_of_output(file: BinaryIO, before: bytes, at: int) -> int:
    """Where the output ends in a file that was read up to a place, where these bytes are before it."""
    while chunk := file.read(_CHUNK):
        window = before + chunk
        if end := re.search(private.END_OF_OUTPUT, window):
            return at - len(before) + end.start()
        at += len(chunk)
        before = window[-_LONGEST_MARK:]
    return at


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
