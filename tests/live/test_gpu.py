"""What an attempt used of GPUs is what NVML says of its processes."""
# ruff: noqa: N802 the names of pynvml

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runlog_otel.core import semconv
from runlog_otel.live.gpu import GpuMeter, nvml

GIB = 2**30
START_US = 1_000_000


class NVMLError(Exception):
    """What NVML raises, also if there is no new sample."""


@dataclass
class Nvml:
    """`pynvml` with devices whose processes a test chooses."""

    memory: dict[int, dict[int, int | None]] = field(default_factory=dict)
    """Device → process → bytes; None where the driver does not tell."""
    utilization: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Device → process, time in microseconds, percent."""
    NVMLError = NVMLError

    def nvmlDeviceGetCount(self) -> int:
        """How many there are."""
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        """A device."""
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, device: int) -> list[Any]:
        """Those that hold memory now."""
        held = self.memory.get(device, {})
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in held.items()]

    def nvmlDeviceGetProcessUtilization(self, device: int, since_us: int) -> list[Any]:
        """The samples since a moment."""
        samples = [sample for sample in self.utilization.get(device, []) if sample[1] > since_us]
        if not samples:
            raise NVMLError
        return [SimpleNamespace(pid=pid, timeStamp=at, smUtil=percent) for pid, at, percent in samples]


def test_time_and_memory_of_its_processes_on_all_devices() -> None:
    """Of two devices at the same time, and of no process of somebody else."""
    library = Nvml({0: {7: 2 * GIB, 99: 9 * GIB}, 1: {8: GIB}}, {0: [(7, 2_000_000, 50), (99, 2_000_000, 40)]})
    meter = GpuMeter(START_US, library)
    meter.sample({7, 8})
    library.memory = {0: {7: GIB}}
    library.utilization = {0: [(7, 2_500_000, 100)], 1: [(8, 3_000_000, 10), (8, 2_000_000, 10)]}
    meter.sample({7, 8})
    meter.sample({7, 8})
    assert meter.attributes() == {semconv.GPU_TIME: 0.5 + 0.5 + 0.2, semconv.GPU_MEMORY_PEAK: 3 * GIB}


def test_without_a_process_of_its_own_nothing_is_said() -> None:
    """Not of an attempt that uses no GPU, nor in a container where NVML knows other process ids."""
    meter = GpuMeter(START_US, Nvml({0: {99: GIB}}, {0: [(99, 2_000_000, 40)]}))
    meter.sample({7})
    assert (meter.is_used, meter.attributes()) == (False, {})


def test_a_driver_that_does_not_tell_the_memory_leaves_the_time() -> None:
    """As under Windows' driver model, and for some virtual GPUs."""
    meter = GpuMeter(START_US, Nvml({1: {7: None}}, {1: [(7, 2_000_000, 100)]}))
    meter.sample({7})
    assert meter.attributes() == {semconv.GPU_TIME: 1.0}


MODULE = """
class NVMLError(Exception):
    pass

def nvmlInit():
    if {is_broken}:
        raise NVMLError
"""


@pytest.mark.parametrize("is_broken", [False, True], ids=["works", "broken"])
def test_the_library_is_loaded_where_a_driver_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    """And is left alone if it does not work."""
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    (tmp_path / "pynvml.py").write_text(MODULE.format(is_broken=is_broken), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    driver = tmp_path / "nvidiactl"
    assert (nvml(driver), "pynvml" in sys.modules) == (None, False)
    nvml.cache_clear()
    driver.touch()
    library = nvml(driver)
    assert (library is None, "pynvml" in sys.modules) == (is_broken, True)
    assert nvml(driver) is library
    monkeypatch.delitem(sys.modules, "pynvml")
    nvml.cache_clear()
