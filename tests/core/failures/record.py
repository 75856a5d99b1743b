"""Records the failures that `test_first_cause` reads: `python -m tests.core.failures.record [NAME…]`.

Each is a real run of runnable or magnus, wrapped as users wrap it. Names of this machine are replaced.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runlog_otel.live.control_group import ROOT, _folders
from tests.e2e.test_pods import ARGO, MOUNTED, Pods
from tests.hosts.magnus.project import FILE_SYSTEM, MagnusProject
from tests.hosts.project import LOCAL, PARALLEL, Project, environment

FOLDER = Path(__file__).parent
MAGNUS = Path(__file__).parents[3] / ".venv-magnus" / "bin" / "python"
RUN_ID = "amber-otter-0101"
Log = dict[str, Any]


def project(folder: Path, executor: Mapping[str, Any] = LOCAL, store: str = "file-system") -> Project:
    """A project under version control, which keeps its spans in a file."""
    own = Project(folder, store, executor, {"endpoint": f"file://{folder}/spans.jsonl"})
    own.version("https://git.example.org/team/shop.git")
    return own


def failing(failure: str, executor: Mapping[str, Any] = LOCAL) -> Callable[[Path], Log]:
    """A run of `failures.py`."""

    def recorded(folder: Path) -> Log:
        own = project(folder, executor)
        own.run("failures", RUN_ID, FAILURE=failure)
        return own.log(RUN_ID)

    return recorded


def running(pipeline: str, **variables: str) -> Callable[[Path], Log]:
    """A run of another pipeline of the tests."""

    def recorded(folder: Path) -> Log:
        own = project(folder)
        own.run(pipeline, RUN_ID, **variables)
        return own.log(RUN_ID)

    return recorded


def out_of_memory(folder: Path) -> Log:
    """A program is killed, and the kernel's counter, a file of ours here, says that it was for memory."""
    own, group = project(folder), folder / "group"
    group.mkdir()
    counter = group / "memory.events"
    counter.write_text("oom_kill 0\n", encoding="ascii")
    (mounted, *_) = _folders("memory", ROOT)
    script = f"mount --bind {group} {mounted} && exec {sys.executable} short_of_memory.py"
    subprocess.run(
        ["unshare", "--mount", *(["--user", "--map-root-user"] if os.getuid() else []), "sh", "-c", script],
        cwd=folder,
        env=environment(RUNNABLE_RUN_ID=RUN_ID, KILLED="shell", COUNTER=str(counter)),
        check=False,
    )
    return own.log(RUN_ID)


def retried(folder: Path, *, is_mended: bool) -> Log:
    """The pods of a retry run the failed step again, as on Argo, and it succeeds or fails again."""
    for name in MOUNTED:
        (folder / name).mkdir()
    pods = Pods(project(folder, ARGO, "chunked-fs"), "fragile")
    pods.run_id = RUN_ID
    pods.node("load").succeeded()
    assert pods.node("work on it").returncode == 1
    pods.variables = {"RUNNABLE_RETRY_RUN_ID": RUN_ID, "RUNNABLE_RETRY_INDICATOR": "again"}
    if is_mended:
        (folder / "mended").touch()
    for name in ("load", "work on it", *(("close", "success") if is_mended else ())):
        pods.node(name)
    return pods.project.log(RUN_ID)


def twice(folder: Path, *, is_mended: bool) -> Log:
    """A run that was retried as a whole."""
    own = project(folder)
    own.run("fragile", RUN_ID)
    if is_mended:
        (folder / "mended").touch()
    own.retry(RUN_ID)
    return own.log(RUN_ID)


def of_magnus(folder: Path) -> Log:
    """A run of magnus."""
    own = MagnusProject(folder, MAGNUS, FILE_SYSTEM, {"endpoint": f"file://{folder}/spans.jsonl"})
    own.execute("regions", RUN_ID, REGIONS="north,broken,west")
    return own.log(RUN_ID)


FAILURES: Mapping[str, Callable[[Path], Log]] = {
    "exception": failing("exception"),
    "nested-map": failing("nested map"),
    "pool": failing("pool", PARALLEL),
    "shell": failing("shell"),
    "out-of-memory": out_of_memory,
    "cancelled": running("broken_off", HOW="ctrl-c"),
    "timeout": running("broken_off", HOW="deadline"),
    "missing-file": failing("catalog"),
    "retried-success": lambda folder: retried(folder, is_mended=True),
    "retried-fail": lambda folder: retried(folder, is_mended=False),
    "repeated": failing("repeated"),
    "on-failure": running("recovery"),
    "on-failure-fails": failing("recovery fails"),
    "conditional": failing("conditional"),
    "async": failing("async"),
    "job": running("job", JOB_FAILS="1"),
    "host-raised": running("broken_off", HOW="full-store"),
    "missing-parameter": failing("parameter"),
    "broken-import": failing("import"),
    "notebook": running("failing_notebook"),
    "magnus": of_magnus,
    "two-executions": lambda folder: twice(folder, is_mended=False),
    "second-succeeds": lambda folder: twice(folder, is_mended=True),
    "killed": running("broken_off", HOW="sigkill"),
}


def without_this_machine(text: str, folder: Path) -> str:
    """A run log whose paths and names are those of somebody's machine."""
    root = Path(__file__).parents[3]
    replaced = {
        json.dumps(str(folder))[1:-1]: "/home/ada/shop",
        str(MAGNUS.parents[1]): "/opt/venv",
        sys.prefix: "/opt/venv",
        sys.base_prefix + "/lib/python": "/usr/lib/python",
        str(root): "/opt/runlog-otel",
        os.uname().nodename: "worker-1",
    }
    for own, other in replaced.items():
        text = text.replace(own, other)
    text = re.sub(r'(\\"process\.pid\\": ?)\d+', r"\g<1>4242", text)
    return re.sub(r"(worker-1[:/-])\d+", r"\g<1>4242", text)


def main() -> None:
    """Record those that are named, or all."""
    for name in sys.argv[1:] or FAILURES:
        folder = Path(tempfile.mkdtemp())
        try:
            log = FAILURES[name](folder)
            text = without_this_machine(json.dumps(log, indent=1), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        (FOLDER / f"{name}.log.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(text)} characters")


if __name__ == "__main__":
    main()
