"""What processes use of NVIDIA's GPUs, as the library NVML tells it (package `nvidia-ml-py`); loaded where both are."""

import functools
import os
from collections.abc import Collection
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runlog_otel.core import semconv

_DRIVER = Path("/dev/nvidiactl")


class GpuMeter:
    """Adds up what some processes use.

    Args:
        start_us: from when, in microseconds since the epoch; NVML remembers a few seconds.
        nvml: the module `pynvml`, initialised.
    """

    def __init__(self, start_us: int, nvml: Any) -> None:
        self._nvml = nvml
        self._devices = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        self._seen_us = dict.fromkeys(range(len(self._devices)), start_us)
        self._busy_seconds = 0.0
        self._memory_bytes = 0
        self.is_used = False
        """Whether one of the processes was seen at a GPU."""

    def sample(self, pids: Collection[int]) -> None:
        """Look at the processes with these ids now."""
        memory = 0
        for index, device in enumerate(self._devices):
            with suppress(self._nvml.NVMLError):
                for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(device):
                    if process.pid in pids:
                        self.is_used = True
                        memory += process.usedGpuMemory or 0
            with suppress(self._nvml.NVMLError):  # also if there is nothing new
                self._add_time(index, self._nvml.nvmlDeviceGetProcessUtilization(device, self._seen_us[index]), pids)
        self._memory_bytes = max(self._memory_bytes, memory)

    def attributes(self) -> dict[str, int | float]:
        """What was used, by the names in `semconv`; nothing if no GPU was used."""
        if not self.is_used:
            return {}
        memory = {semconv.GPU_MEMORY_PEAK: self._memory_bytes} if self._memory_bytes else {}  # some drivers do not tell
        return {semconv.GPU_TIME: round(self._busy_seconds, 6), **memory}

    def _add_time(self, index: int, samples: list[Any], pids: Collection[int]) -> None:
        """Each sample is a process's share of the time since its last one, in percent."""
        before_us = dict.fromkeys(pids, self._seen_us[index])
        for sample in sorted(samples, key=lambda sample: int(sample.timeStamp)):
            self._seen_us[index] = max(self._seen_us[index], sample.timeStamp)
            if sample.pid in before_us:
                self.is_used = True
                self._busy_seconds += sample.smUtil / 100 * max(sample.timeStamp - before_us[sample.pid], 0) / 1e6
                before_us[sample.pid] = sample.timeStamp


@functools.cache
def nvml(driver: Path = _DRIVER) -> Any:
    """The module `pynvml`, initialised, which may take long; None without a driver or the package."""
    if not (driver.exists() and find_spec("pynvml")):
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=nvml.cache_clear)  # its handles do not survive a fork
