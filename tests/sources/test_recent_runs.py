"""What is asked of a source to follow a run: when it changed, which is the newest, which earlier ones succeeded."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source, source_from_url
from runlog_otel.sources.recent_runs import newest_run_id, recent_successes
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.stores.conftest import run, step

Put = Callable[[dict[str, Any], str], None]
"""Writes a document of a pipeline, after all that were written before."""


@pytest.fixture(params=["folder", "chunks", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Source, Put]]:
    """A source, and what writes to it."""
    if request.param in ("folder", "chunks"):
        yield source_from_url(str(tmp_path), Settings(), os.environ.get), _files(tmp_path, request.param)
        return
    url = f"sqlite:///{tmp_path}/runs.db"
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres").create_database())
    create_tables(url)
    database = Database(url)
    source = source_from_url(url, Settings(), os.environ.get)
    yield source, lambda document, pipeline: SqlStore(database, source="runnable").put(document, pipeline)
    source.close()
    database.close()


def _files(folder: Path, kind: str) -> Put:
    written = iter(range(10**6))

    def put(document: dict[str, Any], _: str) -> None:
        path = folder / f"{document['run_id']}.json"
        if kind == "chunks":
            path = folder / document["run_id"] / "RunLog.json"
            path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
        at = 1_790_000_000 + next(written)
        os.utime(path, (at, at))

    return put


def _run(run_id: str, pipeline: str, status: str = "SUCCESS") -> dict[str, Any]:
    return run(run_id, status=status, run_config={"dag": {"name": pipeline, "nodes": {}}}, steps={"a": step("a")})


def test_a_write_changes_when_a_run_was_written(store: tuple[Source, Put]) -> None:
    """And nothing else does; of a run that is not there, nothing is known."""
    source, put = store
    put(_run("r", "p", "PROCESSING"), "p")
    first = source.changed_ns("r")
    assert first is not None
    assert source.changed_ns("r") == first
    put(_run("other", "p"), "p")
    assert source.changed_ns("r") == first
    put(_run("r", "p"), "p")
    assert (source.changed_ns("r") or 0) > first
    assert [source.changed_ns("nope"), source.changed_ns("../r")] == [None, None]
    assert next(stored for stored in source.changes(0) if stored.run_id == "r").changed_ns == source.changed_ns("r")


def test_the_newest_run_is_the_last_one(store: tuple[Source, Put]) -> None:
    """Whatever its id; none without runs."""
    source, put = store
    assert newest_run_id(source) is None
    for run_id in ("z", "a", "m"):
        put(_run(run_id, "p"), "p")
    assert newest_run_id(source) == "m"


def test_recent_successes_are_those_of_a_pipeline(store: tuple[Source, Put]) -> None:
    """The newest first, no more than asked for; failed ones, those in progress and damaged ones are passed over."""
    source, put = store
    for number in range(5):
        put(_run(f"p{number}", "p"), "p")
        put(_run(f"q{number}", "q"), "q")
    put(_run("failed", "p", "FAIL"), "p")
    put(_run("going", "p", "PROCESSING"), "p")
    assert [each.run_id for each in recent_successes(source, "p", 3)] == ["p4", "p3", "p2"]
    assert [each.run_id for each in recent_successes(source, "p", 30)] == ["p4", "p3", "p2", "p1", "p0"]
    assert list(recent_successes(source, "none", 3)) == []


def test_a_pipeline_of_the_settings_has_all_runs(tmp_path: Path) -> None:
    """The setting replaces the name in each log."""
    _files(tmp_path, "folder")(_run("r", "p"), "p")
    source = source_from_url(str(tmp_path), Settings(pipeline="all"), os.environ.get)
    assert [each.run_id for each in recent_successes(source, "all", 3)] == ["r"]
    assert list(recent_successes(source, "p", 3)) == []
