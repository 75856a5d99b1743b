"""Real pipelines over the SQL store, alone and wrapped: the run log is the one that the host's own store has."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.hosts.runnable.stores import SqlRunLogStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.hosts.project import LOCAL, PARALLEL, Project

PIPELINES = ("sequential", "choice", "regions", "repeat", "side_by_side", "recovery", "nested", "streaming")
FAILING = ("failing_python", "failing_shell", "mended")
SIDE_BY_SIDE = ("regions", "side_by_side", "nested")
CASES = [(name, LOCAL) for name in (*PIPELINES, *FAILING, "job")] + [(name, PARALLEL) for name in SIDE_BY_SIDE]

_VOLATILE = ("start_time", "end_time", "run_config", "code_identities", "data_hash")


def plain(log: Any) -> Any:
    """The log without what differs from run to run: times, hashes, and the random part of file names."""
    if isinstance(log, Mapping):
        return {name: plain(value) for name, value in log.items() if name not in _VOLATILE}
    if isinstance(log, list):
        return [plain(value) for value in log]
    return re.sub(r"\w{3}\.execution\.log", ".execution.log", log) if isinstance(log, str) else log


def sql_url(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/runs.db"
    url = str(request.getfixturevalue("postgres").create_database())
    create_tables(url)
    return url


def configure(project: Project, url: str, executor: Mapping[str, Any], *, is_wrapped: bool) -> None:
    inner: dict[str, Any] = {"type": "sql", "config": {"connection_string": url}}
    telemetry = {"endpoint": f"file://{project.folder}/spans", "failure_evidence": False}  # it is written into the log
    store = {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}} if is_wrapped else inner
    project.write_config({"run-log-store": store, "pipeline-executor": executor, "job-executor": {"type": "local"}})


def log_in(url: str, run_id: str) -> Any:
    store = SqlRunLogStore(connection_string=url)
    try:
        return json.loads(json.dumps(store.get_run_log_by_id(run_id, full=True).model_dump()))
    finally:
        store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize(
    ("pipeline", "executor"),
    [pytest.param(*CASES[0], marks=pytest.mark.canary), *CASES[1:]],
    ids=lambda value: value if isinstance(value, str) else "+" if value is PARALLEL else "",
)
def test_a_pipeline_leaves_the_log_that_the_hosts_store_has(
    request: pytest.FixtureRequest, tmp_path: Path, pipeline: str, executor: Mapping[str, Any], kind: str
) -> None:
    """Over chunked-fs, over the SQL store and over the wrapped SQL store: one result, one log."""
    of_host = Project(tmp_path / "of-host", "chunked-fs", executor)
    expected = of_host.run(pipeline, "r")
    logs, codes = [], []
    for is_wrapped in (False, True):
        project = Project(tmp_path / f"wrapped-{is_wrapped}", "chunked-fs", executor)
        url = sql_url(kind, project.folder, request)
        configure(project, url, executor, is_wrapped=is_wrapped)
        done = project.run(pipeline, "r")
        codes.append(done.returncode)
        logs.append(plain(log_in(url, "r")))
    assert codes == [expected.returncode] * 2, done.output
    assert logs == [plain(of_host.log("r"))] * 2


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_failed_run_is_retried(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    """`runnable retry` finds the run in the database, skips what succeeded and adds attempts to the rest."""
    url = sql_url(kind, tmp_path, request)
    project = Project(tmp_path / "project", "chunked-fs")
    configure(project, url, LOCAL, is_wrapped=False)
    assert project.run("mended", "r").returncode == 1
    (project.folder / "mended").write_text("whole")
    project.retry("r").succeeded()
    log = log_in(url, "r")
    sides = log["steps"]["each side"]["branches"]
    attempts = {name: len(branch["steps"][f"{name}.work"]["attempts"]) for name, branch in sides.items()}
    assert (log["status"], attempts) == ("SUCCESS", {"each side.left": 1, "each side.right": 2})


def test_the_password_is_in_no_run_log_and_no_output(postgres: Any, tmp_path: Path) -> None:
    """The host prints its context and dumps it into the log: both show the address without credentials."""
    url = postgres.create_database()
    create_tables(url)
    password = re.findall(r":([^:@]+)@", url)[0]
    project = Project(tmp_path / "project", "chunked-fs")
    for is_wrapped in (False, True):
        configure(project, url, LOCAL, is_wrapped=is_wrapped)
        done = project.run("side_by_side", f"wrapped-{is_wrapped}").succeeded()
        assert password not in done.output
        assert password not in json.dumps(log_in(url, f"wrapped-{is_wrapped}"))
