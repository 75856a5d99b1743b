"""A process finds the limits of its control group, and whether the kernel killed in it for memory."""

from pathlib import Path

from runlog_otel.core import semconv
from runlog_otel.live.control_group import limits, memory_kills
from tests.live.machine import V1_CPU, V1_MEMORY, V2, machine

GIB = 2**30
UNLIMITED = "9223372036854771712\n"


def test_a_container_of_its_own_namespace_sees_its_limits(tmp_path: Path) -> None:
    """In version 2 the group is the root of what is mounted."""
    files = {"memory.max": f"{GIB}\n", "cpu.max": "150000 100000\n", "memory.events": "oom 3\noom_kill 2\n"}
    root = machine(
        tmp_path, "0::/\n", V2.format(root="/"), {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    )
    assert limits(root) == {semconv.MEMORY_LIMIT: GIB, semconv.CPU_LIMIT: 1.5}
    assert memory_kills(root) == 2


def test_the_lowest_limit_above_a_group_holds(tmp_path: Path) -> None:
    """A service without a limit of its own has that of its slice."""
    above, own = "sys/fs/cgroup/batch.slice", "sys/fs/cgroup/batch.slice/job.service"
    files = {
        f"{above}/memory.max": f"{2 * GIB}\n",
        f"{above}/cpu.max": "50000 100000\n",
        f"{above}/memory.events": "oom_kill 7\n",
        f"{own}/memory.max": "max\n",
        f"{own}/cpu.max": "max 100000\n",
        f"{own}/memory.events": "oom_kill 0\n",
    }
    root = machine(tmp_path, "0::/batch.slice/job.service\n", V2.format(root="/"), files)
    assert limits(root) == {semconv.MEMORY_LIMIT: 2 * GIB, semconv.CPU_LIMIT: 0.5}
    assert memory_kills(root) == 0


def test_version_1_has_a_group_for_each_controller(tmp_path: Path) -> None:
    """A container sees its own group at the place where it is mounted; version 2 beside it has no controllers."""
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "25000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    group = "/docker/abc"
    mounts = [line.format(root=group) for line in (V1_MEMORY, V1_CPU)]
    mounts.append(V2.format(root="/").replace("cgroup ", "cgroup/unified ", 1))
    cgroup = f"12:memory:{group}\n4:cpu,cpuacct:{group}\n0::{group}\n"
    root = machine(tmp_path, cgroup, "\n".join(mounts), files)
    assert limits(root) == {semconv.MEMORY_LIMIT: GIB, semconv.CPU_LIMIT: 0.25}
    assert memory_kills(root) == 4


def test_without_limits_nothing_is_said(tmp_path: Path) -> None:
    """Neither of a group without limits, nor of a machine without groups or readable files."""
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    mounts = "\n".join(line.format(root="/") for line in (V1_MEMORY, V1_CPU))
    root = machine(tmp_path / "free", "2:memory:/\n3:cpu,cpuacct:/\n", mounts, files)
    assert (limits(root), memory_kills(root)) == ({}, None)
    odd = machine(tmp_path / "odd", "0::/\n", V2.format(root="/"), {"sys/fs/cgroup/memory.max": "\n"})
    assert (limits(odd), memory_kills(odd)) == ({}, None)
    assert (limits(tmp_path / "none"), memory_kills(tmp_path / "none")) == ({}, None)
