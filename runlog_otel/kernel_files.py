"""Reads the small files in which the kernel tells of processes (Linux), in a third of the time of a `Path`."""

import os

_MOST_BYTES = 65536


def read(path: str) -> bytes:
    """A file of /proc or of a control group.

    Raises:
        OSError: it cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, _MOST_BYTES)
    finally:
        os.close(file)


def number_after(name: bytes, text: bytes) -> int:
    """The number that follows a name at the start of a line.

    Raises:
        ValueError: there is none.
    """
    words = (b"\n" + text).partition(b"\n" + name)[2].split(maxsplit=1)
    return int(words[0] if words else b"")
