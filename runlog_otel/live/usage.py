"""What an attempt uses: CPU time, memory, storage and GPUs, child processes included.

All of it is counted by process, so it is an attempt's own only if no other one runs in the process at the same time. Of
those that do (several pipelines in one event loop, threads), nothing is measured.
"""

import os
import resource
import sys
import time
from typing import NamedTuple

from runlog_otel import own_threads
from runlog_otel.core import semconv
from runlog_otel.live import process_tree
from runlog_otel.live.control_group import memory_kills
from runlog_otel.live.peaks import Peaks
from runlog_otel.live.process_tree import Transferred

_KIB = 1024
_WARNS_OF_THREADS = sys.version_info >= (3, 12)
"""Whether Python warns when a process with several threads is forked."""


class UsageMeter:
    """Measures from its creation until `stop`."""

    def __init__(self) -> None:
        self.attributes: dict[str, int | float] = {}
        """After `stop`: what was used, by the names in `semconv`; what cannot be measured right is left out."""
        self._kills_before = memory_kills()
        self.is_alone = not _MEASURING
        for other in _MEASURING:
            other.is_alone = False
        _MEASURING.append(self)
        self._start = _totals()
        self.peaks = Peaks() if self.is_alone else None

    def stop(self) -> None:
        """Stop, if it was not stopped before, nor is the copy in a process that the attempt's code forked."""
        if self not in _MEASURING:
            return
        _MEASURING.remove(self)
        if self.peaks:
            self.peaks.stop()
            if self.is_alone:
                end = _totals()
                self.attributes = _used(self._start, end) | self.peaks.gpu()
                if peak := self.peaks.memory_bytes():
                    # a child that is larger than all before it may have been too quick for a sample
                    child = end.child_peak_bytes if end.child_peak_bytes > self._start.child_peak_bytes else 0
                    self.attributes[semconv.MEMORY_PEAK] = max(peak, child)

    def lacks_memory(self) -> bool:
        """Whether the kernel has killed for lack of memory, in the control group of this process, since the start."""
        return (memory_kills() or 0) > (self._kills_before or 0)


class _Totals(NamedTuple):
    """What this process has used since it started, the children that it has waited for, and those that still run."""

    cpu_seconds: float | None
    transferred: Transferred | None
    child_peak_bytes: int
    """The highest resident memory of the largest child that it has waited for."""


def _totals() -> _Totals:
    below = process_tree.below()
    own, children = process_tree.transferred(), resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = children.ru_maxrss * _KIB
    if below is None:
        return _Totals(None, None, peak)
    own_cpu = time.process_time() - own_threads.cpu_seconds()
    cpu = own_cpu + children.ru_utime + children.ru_stime + sum(child.cpu_seconds for child in below)
    parts = filter(None, [own, *(process_tree.transferred(child.pid) for child in below)])
    return _Totals(cpu, Transferred(*map(sum, zip(*parts, strict=True))) if own else None, peak)


def _used(start: _Totals, end: _Totals) -> dict[str, int | float]:
    used: dict[str, int | float] = {}
    if start.cpu_seconds is not None and end.cpu_seconds is not None:
        used[semconv.CPU_TIME] = round(max(end.cpu_seconds - start.cpu_seconds, 0), 6)
    if start.transferred and end.transferred:
        used[semconv.IO_READ] = max(end.transferred.read - start.transferred.read, 0)
        used[semconv.IO_WRITE] = max(end.transferred.written - start.transferred.written, 0)
    return used


_MEASURING: list[UsageMeter] = []
"""The attempts that run in this process."""


def _before_fork() -> None:
    for meter in _MEASURING if _WARNS_OF_THREADS else ():
        if meter.peaks:
            meter.peaks.cut()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_MEASURING.clear)
