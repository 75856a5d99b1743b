"""The control group (cgroup v1 or v2) of this process: its limits, and how often the kernel killed in it for memory."""

import functools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runlog_otel.core import semconv
from runlog_otel.kernel_files import number_after, read

ROOT = Path("/")
CGROUP, MOUNTS = "proc/self/cgroup", "proc/self/mountinfo"
_UNLIMITED = 2**60
"""Version 1 has no word for it: the limit is the highest multiple of a page."""


def limits(root: Path = ROOT) -> dict[str, int | float]:
    """The limits of CPU and memory that are in force, by their names in `semconv`: of the group and of those above."""
    memory = [limit for folder in _folders("memory", root) for limit in _memory_limits(folder)]
    cpu = [limit for folder in _folders("cpu", root) for limit in _cpu_limits(folder)]
    found: dict[str, int | float] = {}
    if memory and min(memory) < _UNLIMITED:
        found[semconv.MEMORY_LIMIT] = min(memory)
    if cpu:
        found[semconv.CPU_LIMIT] = min(cpu)
    return found


def memory_kills(root: Path = ROOT) -> int | None:
    """How many processes of the group the kernel has killed for lack of memory; None where it does not count them."""
    path = _events(root)
    with suppress(OSError, ValueError):
        return number_after(b"oom_kill ", read(str(path))) if path else None
    return None


def lines(name: str, root: Path = ROOT) -> list[str]:
    """The lines of a file; none if it cannot be read."""
    with suppress(OSError, UnicodeError):
        return (root / name).read_text().splitlines()
    return []


@functools.cache
def _events(root: Path) -> Path | None:
    """The file in which the kernel counts, in version 2 or 1."""
    paths = (
        folder / name for folder in _folders("memory", root)[:1] for name in ("memory.events", "memory.oom_control")
    )
    return next(filter(Path.is_file, paths), None)


@functools.cache
def _folders(controller: str, root: Path) -> tuple[Path, ...]:
    """The folder of the group and those above it, as far as they are visible here; none without this controller.

    A machine may have both versions; then a controller belongs to the first if it is mounted there.
    """
    fields = (line.split(":", 2) for line in lines(CGROUP, root))
    groups = {name: path for _, names, path in fields for name in names.split(",")}
    for name in (controller, ""):  # version 2 has one group for all controllers, without a name
        if name in groups:
            for mounted, place in _mounts(name, root):
                own = groups[name].removeprefix(mounted.rstrip("/")).strip("/")
                top = root / place.strip("/")
                folder = top / own if (top / own).is_dir() else top  # a namespace may hide where the group is
                return (folder, *(parent for parent in folder.parents if parent.is_relative_to(top)))
    return ()


def _mounts(controller: str, root: Path) -> Iterator[tuple[str, str]]:
    """Which group is mounted where, for a controller; see proc_pid_mountinfo(5)."""
    for line in lines(MOUNTS, root):
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split()
        if kind == "cgroup2" if not controller else kind == "cgroup" and controller in options.split(","):
            mounted, place = before.split()[3:5]
            yield mounted, place


def _memory_limits(folder: Path) -> list[int]:
    return [*_numbers(folder / "memory.max"), *_numbers(folder / "memory.limit_in_bytes")]


def _cpu_limits(folder: Path) -> Iterator[float]:
    """A quota of CPU time in each period; without a limit it is `max`, or negative in version 1."""
    match _numbers(folder / "cpu.max") or [
        *_numbers(folder / "cpu.cfs_quota_us"),
        *_numbers(folder / "cpu.cfs_period_us"),
    ]:
        case [quota, period] if quota > 0 and period > 0:
            yield quota / period


def _numbers(path: Path) -> list[int]:
    with suppress(OSError, ValueError):
        return [int(part) for part in path.read_text().split()]
    return []
