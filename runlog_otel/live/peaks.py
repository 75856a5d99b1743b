"""The highest memory of this process and its children, and what they use of GPUs, sampled by a thread (Linux).

The kernel keeps the peak of this process exactly. Children are sampled: the kernel keeps the peak of those that have
ended for the whole life of their parent only, and forgets which of them ran at the same time.
"""

import os
import time
from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from typing import TYPE_CHECKING

from runlog_otel.live import process_tree
from runlog_otel.own_threads import own_thread

if TYPE_CHECKING:
    from runlog_otel.live.gpu import GpuMeter

_PAUSE_SECONDS = (0.05, 1.0)
"""The first pause, which is doubled each time, and the longest: a sample interrupts code that only computes."""
_PAUSE_WITH_CHILDREN_SECONDS = 0.1
_PAUSES_PER_COST = 100
"""Sampling takes no more than a hundredth of the time."""
_GPU_AFTER_SECONDS = 1
"""The library of GPUs takes long to load: attempts that end sooner are not asked for theirs."""


class Peaks:
    """Samples from its creation until `stop`."""

    def __init__(self) -> None:
        self._start_us = time.time_ns() // 1000
        is_reset = process_tree.reset_own_peak()
        self._own_peak = process_tree.own_peak_bytes() or 0
        self._memory_bytes = self._own_peak if is_reset else process_tree.own_resident_bytes()
        self._is_complete = True
        self._gpu: GpuMeter | None = None
        self._end_asked, self._running = allocate_lock(), allocate_lock()
        self._end_asked.acquire()
        if self._memory_bytes is not None:
            self._running.acquire()
            try:
                start_new_thread(self._work, ())  # `threading.Thread` waits for its start: 0.1 ms
            except RuntimeError:  # no more threads: what is sampled at the end remains
                self._running.release()

    def stop(self) -> None:
        """Take the last sample."""
        self._end()
        if self._is_complete and self._memory_bytes is not None:
            self._sample(is_last=True)

    def cut(self) -> None:
        """End early, because this process is about to be forked."""
        self._is_complete = False
        self._end()

    def memory_bytes(self) -> int | None:
        """The highest sum of resident memory; None if it was not sampled to the end."""
        return self._memory_bytes if self._is_complete else None

    def gpu(self) -> dict[str, int | float]:
        """What was used of GPUs, by the names in `semconv`."""
        return self._gpu.attributes() if self._gpu else {}

    def _end(self) -> None:
        if self._end_asked.locked():
            self._end_asked.release()
        with self._running:
            pass

    def _work(self) -> None:
        with own_thread():
            self._sample_often()
        self._running.release()

    def _sample_often(self) -> None:
        pause, longest = _PAUSE_SECONDS
        while not self._end_asked.acquire(timeout=pause):
            before, has_children = time.thread_time(), False
            with suppress(Exception):  # a sample is lost
                self._open_gpu()
                has_children = self._sample()
            cost = time.thread_time() - before
            pause = min(2 * pause, _PAUSE_WITH_CHILDREN_SECONDS if has_children else longest)
            pause = max(pause, _PAUSES_PER_COST * cost)

    def _open_gpu(self) -> None:
        if self._gpu is None and time.time_ns() // 1000 - self._start_us > _GPU_AFTER_SECONDS * 1e6:
            from runlog_otel.live.gpu import GpuMeter, nvml  # only where an attempt takes long

            if library := nvml():
                self._gpu = GpuMeter(self._start_us, library)

    def _sample(self, *, is_last: bool = False) -> bool:
        """Take a sample, and return whether there are children."""
        below = process_tree.below() or []
        children = sum(map(process_tree.added_bytes, below))
        self._memory_bytes = max(self._memory_bytes or 0, self._own_bytes() + children)
        if self._gpu and (self._gpu.is_used or not is_last):
            self._gpu.sample({os.getpid(), *(process.pid for process in below)})
        return bool(below)

    def _own_bytes(self) -> int:
        """The peak of this process if it was reached since the last sample, else its memory now."""
        peak, before = process_tree.own_peak_bytes() or 0, self._own_peak
        self._own_peak = peak
        return peak if peak > before else process_tree.own_resident_bytes() or 0
