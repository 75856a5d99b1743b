"""What an attempt used is measured as the kernel counts it: by itself, and with the processes that it started."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runlog_otel.core import semconv
from runlog_otel.live import process_tree
from runlog_otel.live.usage import UsageMeter
from runlog_otel.own_threads import own_thread
from tests.peers.process import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")
MIB = 2**20
CPU_SECONDS, HELD, WRITTEN = 0.3, 64 * MIB, 16 * MIB
WORK = f"""
import sys, time
with open(sys.argv[1], "wb") as file:
    file.write(b"x" * {WRITTEN})
held = b"x" * {HELD}
while time.process_time() < {CPU_SECONDS}:
    pass
print("done", flush=True)
sys.stdin.read()
"""
"""Works, and ends with its standard input."""


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@contextmanager
def program(path: Path, *shell: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has done its work and has not ended yet."""
    command = [*shell, sys.executable, "-S", "-c", WORK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"done\n"
        yield process


def resident_bytes() -> int:
    """The memory that is held already, also by processes that an earlier test has left behind."""
    return (process_tree.own_resident_bytes() or 0) + sum(map(process_tree.added_bytes, process_tree.below() or ()))


def memory(meter: UsageMeter) -> int:
    """The highest memory so far."""
    assert meter.peaks
    return meter.peaks.memory_bytes() or 0


def about(value: float) -> object:
    """Within five percent, and the memory of an interpreter or the granularity of the clock."""
    return pytest.approx(value, rel=0.05, abs=12 * MIB if value > MIB else 0.1)


def test_work_of_the_process_itself(tmp_path: Path) -> None:
    """CPU time and memory of every thread; what is written before and after is not counted."""
    (tmp_path / "before").write_bytes(b"x" * WRITTEN)
    meter, resident = UsageMeter(), resident_bytes()
    burn(CPU_SECONDS)
    held = b"x" * HELD
    (tmp_path / "file").write_bytes(memoryview(held)[:WRITTEN])
    del held
    meter.stop()
    burn(CPU_SECONDS)
    used = meter.attributes
    assert used[semconv.CPU_TIME] == about(CPU_SECONDS)
    assert used[semconv.MEMORY_PEAK] == about(resident + HELD)
    assert used[semconv.IO_WRITE] == about(WRITTEN)
    assert set(used) == {semconv.CPU_TIME, semconv.MEMORY_PEAK, semconv.IO_READ, semconv.IO_WRITE}


def test_an_attempt_after_a_larger_one_has_its_own_peak() -> None:
    """A pool worker runs many attempts."""
    large = UsageMeter()
    held = b"x" * HELD
    del held
    large.stop()
    small = UsageMeter()
    small.stop()
    assert large.attributes[semconv.MEMORY_PEAK] - small.attributes[semconv.MEMORY_PEAK] == about(HELD)


@pytest.mark.parametrize("shell", [(), ("sh", "-c", '"$@"; true', "sh")], ids=["program", "shell"])
def test_work_of_a_program_that_has_ended(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """It, and the programs that it has started, as a shell does."""
    meter, resident = UsageMeter(), resident_bytes()
    with program(tmp_path / "file", *shell) as process:
        wait_until(lambda: memory(meter) > resident + HELD)
        process.communicate()
    meter.stop()
    used = meter.attributes
    assert used[semconv.CPU_TIME] == about(CPU_SECONDS)
    assert used[semconv.MEMORY_PEAK] == about(resident + HELD)
    assert used[semconv.IO_WRITE] == about(WRITTEN)


def test_work_of_a_program_that_still_runs(tmp_path: Path) -> None:
    """As far as it has come; what it uses later belongs to nobody."""
    meter, resident = UsageMeter(), resident_bytes()
    with program(tmp_path / "file", "sh", "-c", '"$@"; true', "sh") as process:
        meter.stop()
        later = UsageMeter()
        process.communicate()
        later.stop()
    assert meter.attributes[semconv.CPU_TIME] == about(CPU_SECONDS)
    assert meter.attributes[semconv.MEMORY_PEAK] == about(resident + HELD)
    assert meter.attributes[semconv.IO_WRITE] == about(WRITTEN)
    assert later.attributes[semconv.CPU_TIME] == about(0)
    assert later.attributes[semconv.IO_WRITE] == about(0)


def test_memory_that_a_forked_process_shares_counts_once() -> None:
    """From 3.12 on, Python warns of threads when it forks: nothing is sampled any more, and memory is left out."""
    held = b"x" * HELD
    meter, resident = UsageMeter(), resident_bytes()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        meter.stop()  # of the copy in this process: it is not measured
        os.close(writer)
        own = held[::2]
        os.read(reader, 1)
        os._exit(len(own) != HELD // 2 or bool(meter.attributes))
    if sys.version_info < (3, 12):
        wait_until(lambda: memory(meter) > resident + HELD // 2)
    os.close(reader)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    meter.stop()
    if sys.version_info < (3, 12):
        assert meter.attributes[semconv.MEMORY_PEAK] == about(resident + HELD // 2)
    else:
        assert semconv.MEMORY_PEAK not in meter.attributes
    assert semconv.CPU_TIME in meter.attributes


@pytest.mark.parametrize("has_ended", [True, False], ids=["ended", "runs"])
def test_our_own_threads_are_not_counted(has_ended: bool) -> None:
    """Spans are sent while the next step computes."""
    meter, worked, ended = UsageMeter(), threading.Event(), threading.Event()

    def send() -> None:
        with own_thread():
            while time.thread_time() < CPU_SECONDS:
                pass
            worked.set()
            ended.wait()

    thread = threading.Thread(target=send)
    thread.start()
    worked.wait()
    if has_ended:
        ended.set()
        thread.join()
    meter.stop()
    ended.set()
    thread.join()
    assert meter.attributes[semconv.CPU_TIME] == about(0)


def test_attempts_at_the_same_time_share_a_process() -> None:
    """Neither is measured; the next one, which is alone, is."""
    first, second = UsageMeter(), UsageMeter()
    first.stop()
    third = UsageMeter()
    second.stop()
    third.stop()
    alone = UsageMeter()
    alone.stop()
    alone.stop()
    assert [meter.attributes for meter in (first, second, third)] == [{}, {}, {}]
    assert alone.attributes[semconv.MEMORY_PEAK] > 0


def test_a_short_measurement_imports_nothing_heavy() -> None:
    """Every step's process pays for it; GPUs are asked only of an attempt that takes long."""
    script = """
import sys
before = set(sys.modules)
from runlog_otel.live.usage import UsageMeter
from runlog_otel.live.where import where
meter = UsageMeter()
meter.stop()
where()
loaded = {name for name in set(sys.modules) - before if not name.startswith("runlog_otel.core")}
print(sorted(loaded & {"asyncio", "ctypes", "importlib.metadata", "psutil", "pynvml", "socket", "subprocess"}))
print(sorted(name for name in loaded if name.startswith("runlog_otel.live.")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy, own = done.stdout.splitlines()
    assert heavy == "[]"
    assert own == str(
        [f"runlog_otel.live.{name}" for name in ("control_group", "peaks", "process_tree", "usage", "where")]
    )
