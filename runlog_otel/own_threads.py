"""The CPU time of our own threads in a user's process, which is no attempt's."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from runlog_otel.kernel_files import read

_running: set[int] = set()
"""Native ids."""
_ended_seconds = 0.0


@contextmanager
def own_thread() -> Iterator[None]:
    """The whole work of a thread of ours."""
    global _ended_seconds  # noqa: PLW0603 one of a process
    identity = threading.get_native_id()
    _running.add(identity)
    try:
        yield
    finally:
        _ended_seconds += time.thread_time()
        _running.discard(identity)


def cpu_seconds() -> float:
    """What the threads that have ended took, and those that run, where the system tells (Linux)."""
    return _ended_seconds + sum(map(_seconds, list(_running)))


def _seconds(identity: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        return int(read(f"/proc/self/task/{identity}/schedstat").split()[0]) / 1e9
    return 0.0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
