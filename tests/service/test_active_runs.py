"""A run that was killed and then deleted is not active any more, in whatever source it was."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core import semconv
from runlog_otel.service.service import ServeOptions, Service
from runlog_otel.service.state import State
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogTarget, Source, source_from_url
from runlog_otel.stores.sql.retention import delete_runs
from tests.core.runlogs.test_constellation import execution
from tests.service.sources import LONG_AGO_NS, MemorySource, ended, going
from tests.service.test_service import gauge, runs_counted
from tests.sources.histories import constellation_server, fill_table

DEMO = json.loads((Path(__file__).parents[1] / "golden" / "demo.log.json").read_text(encoding="utf-8"))
KILLED: dict[str, Any] = {
    **DEMO,
    "status": "PROCESSING",
    "steps": {key: step for key, step in DEMO["steps"].items() if key != "success"},
}

Kind = tuple[str, Callable[[], None]]
"""The URL of a source with the killed runs `a/1` and `b`, and what deletes `a/1` from it."""


def _files(folder: Path) -> Kind:
    for run_id in ("a/1", "b"):
        path = folder / "logs" / f"{run_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**KILLED, "run_id": run_id}))
    return str(folder / "logs"), (folder / "logs" / "a" / "1.json").unlink


def _chunks(folder: Path) -> Kind:
    for run_id in ("a/1", "b"):
        path = folder / "logs" / run_id / "RunLog.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**KILLED, "run_id": run_id}))
    return str(folder / "logs"), lambda: shutil.rmtree(folder / "logs" / "a")


def _put(url: str) -> None:
    with closing(source_from_url(url, Settings(), os.environ.get)) as target:
        assert isinstance(target, RunLogTarget)
        target.prepare()
        for run_id in ("a/1", "b"):
            target.put({**KILLED, "run_id": run_id})


def _sql(folder: Path) -> Kind:
    from runlog_otel.stores.sql.database import Database

    url = f"sqlite:///{folder}/runs.db"
    _put(url)

    def delete() -> None:
        database = Database(url)
        delete_runs(database, ["a/1"])
        database.close()

    return url, delete


def _delete_row(file: Path, table: str, column: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"DELETE FROM {table} WHERE {column} = 'a/1'")
        connection.commit()


def _db_log(folder: Path) -> Kind:
    _put(f"db-log+sqlite:///{folder}/magnus.db")
    return f"db-log+sqlite:///{folder}/magnus.db", lambda: _delete_row(folder / "magnus.db", "db_log", "run_id")


def _constellation(folder: Path) -> Kind:
    running = {"status": "Running", "endTime": None}
    fill_table(f"sqlite:///{folder}/c.db", [execution(executionId=run_id, **running) for run_id in ("a/1", "b")])
    return (
        f"constellation+sqlite:///{folder}/c.db",
        lambda: _delete_row(folder / "c.db", "executions", "execution_id"),
    )


@pytest.mark.parametrize("kind", [_files, _chunks, _sql, _db_log, _constellation], ids=lambda kind: kind.__name__)
def test_a_killed_run_that_is_deleted_is_not_active(tmp_path: Path, kind: Callable[[Path], Kind]) -> None:
    """At the next look; it is not counted, and the others stay active."""
    url, delete = kind(tmp_path)
    _check(
        tmp_path, source_from_url(url, Settings(outbox=tmp_path / "unsent", exporter="none"), os.environ.get), delete
    )


def test_a_killed_execution_that_a_server_dropped_is_not_active(tmp_path: Path) -> None:
    """Its memory is bounded."""
    with constellation_server() as server:
        server.executions = [execution(executionId=run_id, status="Running", endTime=None) for run_id in ("a/1", "b")]
        settings = Settings(outbox=tmp_path / "unsent", exporter="none")
        source = source_from_url(f"constellation+{server.url}", settings, os.environ.get)
        _check(tmp_path, source, lambda: server.executions.pop(0))


@pytest.mark.parametrize("kind", ["file-system", "chunked-fs", "sql"])
def test_a_killed_run_that_is_deleted_from_the_store_of_a_config_is_not_active(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever store it has."""
    from runlog_otel.cli.loading import source

    monkeypatch.chdir(tmp_path)
    url, delete = {"file-system": _files, "chunked-fs": _chunks, "sql": _sql}[kind](tmp_path)
    place = {"connection_string": url} if kind == "sql" else {"log_folder": url}
    inner = {"type": kind, "config": place}
    config = {"type": "otel", "config": {"inner": inner, "telemetry": {"exporter": "none"}}}
    (tmp_path / "config.yaml").write_text(json.dumps({"run-log-store": config}))
    _check(tmp_path, source("", "config.yaml"), delete)


def _check(tmp_path: Path, source: Source, delete: Callable[[], object]) -> None:
    service = Service([source], State(tmp_path / "serve.db"), ServeOptions(abandoned_after=timedelta(days=36_500)))
    service.poll()
    before = gauge(service, semconv.RUNS_ACTIVE)
    delete()
    service.poll()
    after = gauge(service, semconv.RUNS_ACTIVE)
    service.close()
    assert (before, after, runs_counted(service)) == (2, 1, {})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[MemorySource, Service]]:
    """Over a source in memory."""
    source = MemorySource(tmp_path)
    service = Service([source], State(tmp_path / "serve.db"))
    yield source, service
    service.close()


def test_many_active_runs_are_looked_up_in_turn(service: tuple[MemorySource, Service]) -> None:
    """A few at each look, so that a look costs little: each is found out in the end."""
    source, running = service
    for number in range(450):
        source.put(going(f"r{number:03}"), LONG_AGO_NS + number)
    running.poll()
    assert gauge(running, semconv.RUNS_ACTIVE) == 450
    source.runs = {run_id: run for run_id, run in source.runs.items() if run_id.endswith("7")}
    for _ in range(6):
        running.poll()
    assert gauge(running, semconv.RUNS_ACTIVE) == 45


def test_a_run_that_is_made_again_is_active_again(service: tuple[MemorySource, Service]) -> None:
    """Under the same id, and counts when it ends."""
    source, running = service
    source.put(going("r"))
    running.poll()
    del source.runs["r"]
    running.poll()
    assert gauge(running, semconv.RUNS_ACTIVE) == 0
    source.put(going("r"))
    running.poll()
    assert gauge(running, semconv.RUNS_ACTIVE) == 1
    source.put(ended("r"))
    running.poll()
    assert (gauge(running, semconv.RUNS_ACTIVE), runs_counted(running)) == (0, {"success": 1})


def test_a_share_that_is_not_mounted_ends_no_run(tmp_path: Path) -> None:
    """It is a source that fails."""
    url, _ = _files(tmp_path)
    source = source_from_url(url, Settings(outbox=tmp_path / "unsent", exporter="none"), os.environ.get)
    service = Service([source], State(tmp_path / "serve.db"))
    service.poll()
    Path(url).rename(tmp_path / "away")
    service.poll()
    assert gauge(service, semconv.RUNS_ACTIVE) == 2
    service.close()
