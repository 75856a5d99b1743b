"""A machine's files of control groups and mounts, in a folder."""

from collections.abc import Mapping
from pathlib import Path

V2 = "30 23 0:26 {root} /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate"
V1_MEMORY = "33 23 0:30 {root} /sys/fs/cgroup/memory ro,relatime master:12 - cgroup cgroup rw,memory"
V1_CPU = "34 23 0:31 {root} /sys/fs/cgroup/cpu,cpuacct ro,relatime - cgroup cgroup rw,cpu,cpuacct"


def machine(folder: Path, cgroup: str, mounts: str, files: Mapping[str, str] | None = None) -> Path:
    """The root of a machine on which a process reads these files in /proc/self, and others."""
    process = folder / "proc" / "self"
    process.mkdir(parents=True)
    (process / "cgroup").write_text(cgroup, encoding="utf-8")
    (process / "mountinfo").write_text(mounts, encoding="utf-8")
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
