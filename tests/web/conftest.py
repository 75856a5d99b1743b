"""Pages over runs in a folder of files, and in a SQLite database."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Protocol

import pytest
from starlette.testclient import TestClient
from typing_extensions import override

from runlog_otel.core.runlogs.json_runlog import pipeline_from_config
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source, source_from_url
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from runlog_otel.web.app import pages_app
from runlog_otel.web.security import Access

Document = dict[str, Any]
KINDS = ("file", "sqlite")
on_every_kind = pytest.mark.parametrize("runs", [*KINDS, "postgres"], indirect=True)
"""For what a database answers in a way of its own."""


class Runs(Protocol):
    """Where runs are put, and what reads them."""

    def put(self, document: Document) -> None:
        """Add a run, or write it again."""

    def source(self, **settings: Any) -> Source:
        """A source over them."""


class FileRuns:
    """A folder of files, each written a second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = 1_767_261_600

    def put(self, document: Document) -> None:
        """See `Runs`."""
        path = self.folder / f"{document['run_id']}.json"
        path.write_text(json.dumps(document))
        self._written += 1
        os.utime(path, (self._written, self._written))

    def source(self, **settings: Any) -> Source:
        """See `Runs`."""
        return source_from_url(str(self.folder), Settings.load(settings, {}), os.environ.get)


class SqlRuns:
    """A SQL store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = SqlStore(Database(self.url), source="runnable")

    def put(self, document: Document) -> None:
        """See `Runs`."""
        self.store.put(document, pipeline_from_config(document.get("run_config") or {}))

    def source(self, **settings: Any) -> Source:
        """See `Runs`."""
        return source_from_url(self.url, Settings.load(settings, {}), os.environ.get)


@pytest.fixture(params=KINDS)
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runs]:
    """No run yet."""
    if request.param == "file":
        yield FileRuns(tmp_path)
        return
    url = f"sqlite:///{tmp_path}/runs.db"
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres").create_database())
        create_tables(url)
    own = SqlRuns(url)
    yield own
    own.store.database.close()


Pages = Callable[..., TestClient]


@pytest.fixture
def pages(runs: Runs) -> Iterator[Pages]:
    """The pages of the runs; takes settings, `is_revealing` and `access`."""
    sources: list[Source] = []

    def opened(*, is_revealing: bool = False, access: Access | None = None, **settings: Any) -> TestClient:
        sources.append(runs.source(**settings))
        app = pages_app(sources[-1:], access, is_revealing=is_revealing)
        return TestClient(app, base_url="http://localhost", follow_redirects=False)

    yield opened
    for source in sources:
        source.close()


class Page(HTMLParser):
    """A page: its tags with their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    @property
    def run_ids(self) -> list[str]:
        """The runs of a list, in order."""
        return [str(a["value"]) for tag, a in self.tags if tag == "input" and a.get("name") == "run"]

    def link(self, rel: str) -> str:
        """Where the link of that relation leads; empty if there is none."""
        return next((str(a["href"]) for tag, a in self.tags if tag == "a" and a.get("rel") == rel), "")


def attempt(status: str = "SUCCESS", message: str = "", seconds: int = 5, **fields: Any) -> Document:
    """An attempt that began at 10:00 UTC."""
    return {
        "status": status,
        "message": message,
        "start_time": "2026-01-01 10:00:00+00:00",
        "end_time": f"2026-01-01 10:{seconds // 60:02}:{seconds % 60:02}+00:00",
        **fields,
    }


def step(name: str, *attempts: Document, **fields: Any) -> Document:
    """A step, which ended as its last attempt."""
    tries = list(attempts or (attempt(),))
    return {
        "name": name,
        "internal_name": name,
        "status": tries[-1]["status"],
        "step_type": "task",
        "attempts": tries,
        "branches": {},
        **fields,
    }


def run(run_id: str, *steps: Document, status: str = "SUCCESS", pipeline: str = "train", **fields: Any) -> Document:
    """A run of a pipeline; one that has ended has the terminal step of its graph."""
    ends: Mapping[str, str] = {"SUCCESS": "success", "FAIL": "fail"}
    own = [*steps]
    if status in ends:
        own.append(step(ends[status], attempt(), step_type=ends[status]))
    return {
        "run_id": run_id,
        "tag": "",
        "status": status,
        "steps": {each["internal_name"]: each for each in own},
        "parameters": {},
        "run_config": {"runlog_otel": {"pipeline": pipeline}},
        "job": None,
        **fields,
    }
