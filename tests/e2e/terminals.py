"""`runlog-otel` on a terminal, and what it shows there."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.project import environment, kill
from tests.peers.process import PATIENCE_SECONDS

SHOW_CURSOR = "\x1b[?25h"
_ERASE = re.compile(r"\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")
"""How rich goes back to the beginning of what it redraws."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROLLED = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""Makes the terminal that of the process, which gets the signals of its keys then."""


class Terminal:
    """The terminal of a program that runs."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._process = process
        self._written = b""

    @property
    def text(self) -> str:
        """All that was written."""
        return self._written.decode("utf-8", "replace")

    @property
    def frames(self) -> list[list[str]]:
        """What was drawn, frame after frame, as lines without colours."""
        drawn = (_CONTROL.sub("", frame).replace("\r\n", "\n") for frame in _ERASE.split(self.text))
        return [[line.rstrip() for line in frame.split("\n")] for frame in drawn if frame.strip()]

    def wait_for(self, *words: str) -> list[str]:
        """Read until a frame has a line with each of these; returns the frame. `…` stands for anything."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (frames := self.frames) or not all(any(_has(line, word) for line in frames[-1]) for word in words):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text
        return frames[-1]

    def press(self, keys: bytes) -> None:
        """Type on it."""
        os.write(self._descriptor, keys)

    def end(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def status(self) -> int:
        """Read to the end; returns the exit status."""
        while self._read():
            pass
        return self._process.wait(PATIENCE_SECONDS)

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], PATIENCE_SECONDS)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the program has ended
            return False
        self._written += data
        return bool(data)


def _has(line: str, words: str) -> bool:
    """Whether a line has some words in this order, whatever stands between them."""
    return re.search(".*".join(map(re.escape, words.split("…"))), line) is not None


@contextmanager
def on_terminal(folder: Path, *arguments: str, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
    """Run `runlog-otel` in a folder, on a terminal of that size."""
    variables = environment(TERM="xterm-256color")
    del variables["COLUMNS"]
    own, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-c", _CONTROLLED, "-m", "runlog_otel", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env=variables, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    try:
        yield Terminal(own, process)
    finally:
        kill(process)
        process.wait()
        os.close(own)
