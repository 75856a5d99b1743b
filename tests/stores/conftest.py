"""Databases for the tests of the SQL store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with empty tables."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path}/runs.db"
    else:
        made = str(request.getfixturevalue("postgres").create_database())
    create_tables(made)
    return made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> SqlStore:
    return SqlStore(database, source="test")


def step(name: str, status: str = "SUCCESS", message: str = "", **fields: Any) -> dict[str, Any]:
    """The document of a step with one attempt of five seconds."""
    attempt = {
        "status": status,
        "message": message,
        "start_time": "2026-01-01 10:00:00+00:00",
        "end_time": "2026-01-01 10:00:05+00:00",
    }
    return {"name": name, "internal_name": name, "status": status, "attempts": [attempt], "branches": {}, **fields}


def run(run_id: str, **fields: Any) -> dict[str, Any]:
    """The document of a run without steps."""
    empty: dict[str, Any] = {"steps": {}, "parameters": {}, "run_config": {}, "job": None}
    return {"run_id": run_id, "tag": "", "status": "PROCESSING", **empty, **fields}
