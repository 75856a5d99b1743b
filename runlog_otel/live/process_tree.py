"""This process and those below it, read from /proc (Linux); whatever cannot be read there is None."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runlog_otel.kernel_files import number_after, read

_PAGE, _TICKS = (os.sysconf(name) for name in ("SC_PAGE_SIZE", "SC_CLK_TCK"))
_KIB = 1024
_FORKED = 0x40
"""The flag `PF_FORKNOEXEC` of the kernel: the process still shares memory with the one that forked it."""


class Process(NamedTuple):
    """A process as /proc/PID/stat shows it."""

    pid: int
    cpu_seconds: float
    """Its own, and that of the children that it has waited for."""
    resident_bytes: int
    is_forked: bool


class Transferred(NamedTuple):
    """Bytes read from storage and written to it, by a process and the children that it has waited for."""

    read: int
    written: int


def below() -> list[Process] | None:
    """The processes below this one, including those that have ended and that nobody has waited for yet."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    except (AttributeError, OSError):  # macOS has it from Python 3.13 on
        return None
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():  # the kernel's CONFIG_PROC_CHILDREN
        return None
    return list(_below("self"))


def own_resident_bytes() -> int | None:
    """The resident memory of this process."""
    with suppress(OSError):
        return int(read("/proc/self/statm").split()[1]) * _PAGE
    return None


def own_peak_bytes() -> int | None:
    """The highest resident memory of this process since `reset_own_peak`, or since it started."""
    with suppress(OSError, ValueError):
        return number_after(b"VmHWM:", read("/proc/self/status")) * _KIB
    return None


def reset_own_peak() -> bool:
    """Forget the highest resident memory so far; False if the system does not allow it. See proc_pid_clear_refs(5)."""
    try:
        file = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, b"5")
        finally:
            os.close(file)
    except OSError:
        return False
    return True


def added_bytes(process: Process) -> int:
    """The resident memory that a process adds to that of its parent."""
    if not process.is_forked:
        return process.resident_bytes
    with suppress(OSError, ValueError):
        text = read(f"/proc/{process.pid}/smaps_rollup")
        return (number_after(b"Private_Clean:", text) + number_after(b"Private_Dirty:", text)) * _KIB
    return 0


def transferred(pid: int | str = "self") -> Transferred | None:
    """What a process has read and written."""
    with suppress(OSError, ValueError):
        text = read(f"/proc/{pid}/io")
        return Transferred(number_after(b"read_bytes:", text), number_after(b"write_bytes:", text))
    return None


def _below(pid: int | str) -> Iterator[Process]:
    for child in _children(pid):
        with suppress(OSError, ValueError, IndexError):
            yield _process(child)
            yield from _below(child)


def _children(pid: int | str) -> Iterator[int]:
    """The children that each thread of a process has started."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 names only
            with suppress(OSError):
                yield from map(int, read(f"/proc/{pid}/task/{thread}/children").split())


def _process(pid: int) -> Process:
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()  # a name may hold spaces and brackets
    ticks = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return Process(pid, ticks / _TICKS, int(fields[21]) * _PAGE, bool(int(fields[6]) & _FORKED))
