"""Where an attempt ran and what it used is in the log of every host process, with the figures of the kernel."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core import semconv
from runlog_otel.live.control_group import ROOT, _folders
from tests.hosts.notes import FACTS
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, STORES_AND_EXECUTORS, TIMEOUT_SECONDS, Project, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")
MIB = 2**20
SECONDS, HELD, WRITTEN = 0.5, 64, 16
BURDEN = f"{SECONDS},{HELD},{WRITTEN}"
HEAVY = {"alone", "shell", "each.a.work", "each.b.work", "each.c.work", "each.d.work"}
_WHOLE = """
import json, sys
from runlog_otel.cli.loading import project
print(json.dumps(project("").host.document(sys.argv[1])))
"""
KILLED = semconv.OOM_KILLED


def attempts(graph: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The path of each step with code, and its one attempt."""
    for path, step in graph["steps"].items():
        if step["step_type"] == "task":
            (attempt,) = step["attempts"]
            yield path, attempt
        for branch in step["branches"].values():
            yield from attempts(branch)


def facts(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an attempt, as they are in the log."""
    own = [code for code in attempt["code_identities"] if FACTS in (*code, code["code_identifier_type"])]
    assert len(own) == 1
    values: dict[str, Any] = json.loads(own[0].get(FACTS, own[0]["code_identifier"]))
    return values


@pytest.mark.parametrize(
    ("store", "executor"),
    STORES_AND_EXECUTORS,
)
def test_each_attempt_has_its_own_figures(tmp_path: Path, store: str, executor: Mapping[str, Any]) -> None:
    """Of Python, of a program of a shell, in pool workers and in a process of its own; the last step has no burden."""
    endpoint = f"file://{tmp_path}/spans.jsonl"
    project = Project(tmp_path, store, executor, {"endpoint": endpoint})
    if store == "sql":
        inner = {"type": "sql", "config": {"connection_string": "sqlite:///runs.db"}}
        wrapped = {"type": "otel", "config": {"inner": inner, "telemetry": {"endpoint": endpoint}}}
        project.write_config({"run-log-store": wrapped, "pipeline-executor": executor})
    project.run("heavy", "r", RUNNABLE_BURDEN=BURDEN).succeeded()
    log = json.loads(project.python("-c", _WHOLE, "r").succeeded().output.splitlines()[-1])
    recorded = dict(attempts(log))
    found = {path: facts(attempt)["attributes"] for path, attempt in recorded.items()}
    assert found.keys() == HEAVY | {"light"}
    before = {path: each["user_defined_metrics"].get("before", {}).get("value") for path, each in recorded.items()}
    before["shell"] = before["light"] + 10 * MIB  # two processes: of the host, and of an interpreter
    for path in HEAVY:
        used = found[path]
        assert used[semconv.CPU_TIME] == pytest.approx(SECONDS, rel=0.05, abs=0.15), path
        assert used[semconv.MEMORY_PEAK] == pytest.approx(before[path] + HELD * MIB, rel=0.05, abs=8 * MIB), path
        assert used[semconv.IO_WRITE] == pytest.approx(WRITTEN * MIB, rel=0.05), path
    light = found["light"]
    assert light[semconv.CPU_TIME] < SECONDS / 2
    assert light[semconv.MEMORY_PEAK] < before["light"] + HELD * MIB / 2
    assert light[semconv.IO_WRITE] < WRITTEN * MIB / 2
    assert {used[semconv.HOST_NAME] for used in found.values()} == {os.uname().nodename}
    processes = {used[semconv.PROCESS_PID] for used in found.values()}
    assert len(processes) == len(found) if executor is EMULATOR else len(processes) >= 1 + (executor is PARALLEL)


@pytest.mark.parametrize(
    ("killed", "is_counted", "error"),
    [("shell", True, KILLED), ("program", True, KILLED), ("program", False, None), ("ended", True, None)],
)
def test_a_program_that_the_kernel_kills_for_memory_says_so(
    tmp_path: Path, killed: str, is_counted: bool, error: str | None
) -> None:
    """If it is killed, and the control group counts that; its file is one of ours here, in a name space of mounts."""
    folders = _folders("memory", ROOT)
    command = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.getuid() else []), "sh", "-c"]
    if not folders or subprocess.run([*command, "mount --bind . ."], cwd=tmp_path, check=False).returncode:
        pytest.skip("no control group, or no name space of mounts")
    group = tmp_path / "group"
    group.mkdir()
    counter = group / "memory.events"
    counter.write_text("oom_kill 0\n", encoding="ascii")
    project = Project(tmp_path / "project", "file-system", LOCAL, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    script = f"mount --bind {group} {folders[0]} && exec {sys.executable} short_of_memory.py"
    done = subprocess.run(
        [*command, script],
        cwd=project.folder,
        env=environment(RUNNABLE_RUN_ID="r", KILLED=killed, COUNTER=str(counter) if is_counted else ""),
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode != 0
    attempt = project.log("r")["steps"]["train"]["attempts"][0]
    assert facts(attempt).get("error") == error


@pytest.mark.parametrize("pipeline", ["streaming", "failing_notebook", "failing_shell", "job"])
def test_code_of_every_kind_is_measured(tmp_path: Path, pipeline: str) -> None:
    """Asynchronous functions, notebooks, programs and jobs, whether they fail or not."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.run(pipeline, "r")
    log = project.log("r")
    recorded = [log["job"]["attempts"][0]] if log.get("job") else [attempt for _, attempt in attempts(log)]
    assert recorded
    for attempt in recorded:
        assert facts(attempt)["attributes"].keys() >= {semconv.HOST_NAME, semconv.CPU_TIME, semconv.MEMORY_PEAK}


def test_a_retry_keeps_the_facts_of_the_attempt_before(tmp_path: Path) -> None:
    """Each attempt says in which process it ran."""
    project = Project(tmp_path, "chunked-fs", LOCAL, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.run("fragile", "r")
    before = project.log("r")["steps"]["work on it"]["attempts"]
    (project.folder / "mended").touch()
    project.retry("r").succeeded()
    first, second = project.log("r")["steps"]["work on it"]["attempts"]
    assert [first] == before
    assert facts(first)["attributes"][semconv.PROCESS_PID] != facts(second)["attributes"][semconv.PROCESS_PID]


def test_without_telemetry_nothing_is_written(tmp_path: Path) -> None:
    """The log is the host's."""
    project = Project(tmp_path, "file-system", LOCAL, {"enabled": False})
    project.run("fragile", "r")
    assert "runlog_otel" not in json.dumps(project.log("r")["steps"])
