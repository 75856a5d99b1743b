"""A process for each node and no orchestrator's process at all, as on Argo: the run is told whole by its pods."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Backend, backend, healthy
from tests.e2e.oracle import Oracle
from tests.e2e.told import differences, outside, told_by_otlp
from tests.hosts.project import LOGS, Done, Project, run
from tests.peers.fixtures import REQUIRE

ARGO: Mapping[str, Any] = {
    "type": "argo",
    "config": {
        "defaults": {"image": "none"},
        "argoWorkflow": {"metadata": {"generateName": "none"}, "spec": {}},
        "pvc_for_runnable": "none",
    },
}
MOUNTED = {LOGS: Path("/tmp/run_logs"), "catalog": Path("/tmp/catalog")}
"""Folders of a project, and where this executor has them, whatever the config says (`ArgoExecutor._use_volumes`)."""
_MOUNT = "".join(f'mount --bind "$0/{own}" {place} && ' for own, place in MOUNTED.items()) + 'exec "$@"'


def in_a_pod(folder: Path) -> list[str]:
    """What a program is started with, so that it finds folders of a project where pods have their volumes.

    Nobody else does: the process has its own view of what is mounted. Where it may not have one, the test is skipped.
    """
    for place in MOUNTED.values():
        place.mkdir(exist_ok=True)  # to be mounted on; nothing is written into it
    command = [
        "unshare",
        "--mount",
        *([] if os.geteuid() == 0 else ["--map-root-user"]),
        "sh",
        "-c",
        _MOUNT,
        str(folder),
    ]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        problem = f"this system lets nobody mount a folder for one process: {error}"
        pytest.fail(problem) if os.environ.get(REQUIRE) == "1" else pytest.skip(problem)
    return command


class Pods:
    """Runs the nodes of a pipeline as Argo would, one process after the other."""

    def __init__(self, project: Project, pipeline: str, **variables: str) -> None:
        self.project = project
        self.run_id = f"pods-{secrets.token_hex(8)}"
        self._pipeline = f"{pipeline}.main"
        self.variables = variables
        self._in_a_pod = in_a_pod(project.folder)

    def node(self, name: str) -> Done:
        """Execute a node."""
        command = ("execute-single-node", self.run_id, self._pipeline, name.replace(" ", "%"))
        return self._runnable(*command, "--mode", "python")

    def fan(self, name: str, direction: str) -> Done:
        """Begin or end a node that has branches."""
        return self._runnable("fan", self.run_id, name.replace(" ", "%"), self._pipeline, direction, "--mode", "python")

    def _runnable(self, *arguments: str) -> Done:
        command = (*self._in_a_pod, sys.executable, "-m", "runnable.cli", *arguments)
        return run(command, self.project.folder, **self.variables)


@pytest.fixture
def server() -> Iterator[Backend]:
    """A healthy backend."""
    with backend(healthy) as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: Backend) -> Project:
    """A project for Argo, with the volumes of its pods."""
    for own in MOUNTED:
        (tmp_path / own).mkdir()
    return Project(tmp_path, "chunked-fs", ARGO, {"endpoint": server.url})


def assert_told(pods: Pods, server: Backend, *oracles: Oracle) -> None:
    """All that was sent is the tree of the log, one trace for each execution, and nothing is unsent."""
    for oracle in oracles or [Oracle(pods.project.log(pods.run_id))]:
        sent = [span for span in server.acknowledged if span.trace_id == oracle.trace_id]
        told = told_by_otlp(sent)
        assert differences(told, oracle.told()) == []
        assert outside(told) == []
        assert len(sent) == len(told.spans)
    assert pods.project.unsent() == []


def test_a_run_without_orchestrator_is_told_by_its_pods(project: Project, server: Backend) -> None:
    """Each pod sends its attempt, and the one that executes the terminal node the containers."""
    pods = Pods(project, "sequential")
    for name in ("load data", "train the model", "report", "success"):
        pods.node(name).succeeded()
    assert_told(pods, server)


def test_a_failed_run_without_orchestrator_is_told_by_the_pod_that_failed(project: Project, server: Backend) -> None:
    """A pod that fails ends the run: no terminal node is executed, and the containers are sent all the same."""
    pods = Pods(project, "failing_python")
    pods.node("load").succeeded()
    assert pods.node("explode").returncode == 1
    assert_told(pods, server)


def test_a_map_without_orchestrator_is_told_by_its_pods(project: Project, server: Backend) -> None:
    """Branches begin and end in pods of their own."""
    pods = Pods(project, "side_by_side")
    pods.fan("side by side", "out").succeeded()
    for name in ("training.fit a model", "training.keep it", "training.success", "comparison.compare"):
        pods.node(f"side by side.{name}").succeeded()
    pods.node("side by side.comparison.success").succeeded()
    pods.fan("side by side", "in").succeeded()
    pods.node("join").succeeded()
    pods.node("success").succeeded()
    assert_told(pods, server)


@pytest.mark.parametrize("indicator", ["", "second try"], ids=["without indicator", "with indicator"])
def test_a_retry_without_orchestrator_is_a_trace_of_its_own(project: Project, server: Backend, indicator: str) -> None:
    """Pods that are told to retry a run add to a second trace, whichever of them comes first."""
    pods = Pods(project, "fragile")
    pods.node("load").succeeded()
    assert pods.node("work on it").returncode == 1
    first = project.log(pods.run_id)
    (project.folder / "mended").touch()
    pods.variables = {"RUNNABLE_RETRY_RUN_ID": pods.run_id, "RUNNABLE_RETRY_INDICATOR": indicator}
    for name in ("load", "work on it", "close", "success"):
        pods.node(name).succeeded()
    second = project.log(pods.run_id)
    assert_told(pods, server, Oracle(first), Oracle(second, before=first, execution=2))


def test_a_failed_branch_ends_the_run_when_the_branch_beside_it_has_ended(project: Project, server: Backend) -> None:
    """A pod that goes on while another one has failed sends its attempt, and the last one the containers."""
    pods = Pods(project, "side_by_side", FAILS="1")
    pods.fan("side by side", "out").succeeded()
    pods.node("side by side.training.fit a model").succeeded()
    assert pods.node("side by side.comparison.compare").returncode == 1
    for name in ("training.keep it", "training.success"):
        pods.node(f"side by side.{name}").succeeded()
    assert pods.fan("side by side", "in").returncode == 1
    project.export(pods.run_id, "--abandoned").succeeded()
    told = told_by_otlp(server.acknowledged)
    assert len({span.content for span in server.acknowledged}) == len(told.spans)
    assert outside(told) == []


@pytest.mark.parametrize("indicator", ["", "again"], ids=["without indicator", "with indicator"])
def test_each_attempt_of_a_pod_is_the_parent_of_what_runs_in_it(
    project: Project, server: Backend, indicator: str
) -> None:
    """Its id is known before it is recorded, in retries of retries too, and the log says why it failed."""
    pods = Pods(project, "parented")
    executions: list[dict[str, str]] = [{}] + [
        {"RUNNABLE_RETRY_INDICATOR": f"{indicator}{at}" if indicator else ""} for at in (1, 2)
    ]
    for number, variables in enumerate(executions, 1):
        pods.variables = {**variables, "RUNNABLE_RETRY_RUN_ID": pods.run_id} if number > 1 else {}
        if number == len(executions):
            (project.folder / "mended").touch()
        assert pods.node("work on it").returncode == (0 if number == len(executions) else 1)
    told = (project.folder / "parents").read_text(encoding="utf-8").splitlines()
    sent = {
        f"00-{span.trace_id}-{span.span_id}-01" for span in server.acknowledged if span.name == "work on it attempt"
    }
    assert (len(told), set(told)) == (3, sent)
    attempts = project.log(pods.run_id)["steps"]["work on it"]["attempts"]
    assert [attempt["attempt_number"] for attempt in attempts] == [1, 2, 3]
    messages = [attempt["message"].partition("\n")[0] for attempt in attempts]
    assert messages == ["RuntimeError: it is broken", "RuntimeError: it is broken", ""]
