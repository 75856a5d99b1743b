"""Lists over many runs: pages, the running ones, bars against the median."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from runlog_otel.web.app import pages_app
from tests.web.conftest import FileRuns, Page, Pages, Runs, SqlRuns, attempt, on_every_kind, run, step

Listed = list[str]


def _walk(client: TestClient, path: str, rel: str, between: Callable[[], None]) -> list[Listed]:
    """The runs of each page from one to the last in a direction."""
    pages = []
    while path:
        page = Page(client.get(path).text)
        pages.append(page.run_ids)
        path = page.link(rel)
        between()
    return pages


@pytest.mark.parametrize("number", [0, 1, 50, 51, 125])
def test_every_run_is_on_one_page_though_runs_are_added(runs: Runs, pages: Pages, number: int) -> None:
    """And the way back has the same, with the runs that were added."""
    for each in range(number):
        runs.put(run(f"run-{each:03}", step("a")))
    client, added = pages(), [0]

    def add() -> None:
        added[0] += 1
        runs.put(run(f"new-{added[0]:03}", step("a")))

    listed = _walk(client, "/", "next", add)
    assert [run_id for page in listed for run_id in page] == [f"run-{each:03}" for each in reversed(range(number))]
    assert all(len(page) == 50 for page in listed[:-1])
    oldest = "/"
    while following := Page(client.get(oldest).text).link("next"):
        oldest = following
    back = _walk(client, oldest, "prev", lambda: None)[::-1]
    everything = [f"new-{each:03}" for each in reversed(range(1, added[0] + 1))] + [
        f"run-{each:03}" for each in reversed(range(number))
    ]
    assert [run_id for page in back for run_id in page] == everything


@on_every_kind
def test_pages_keep_their_filters(runs: Runs, pages: Pages) -> None:
    """The links to other pages have the query."""
    for each in range(120):
        runs.put(run(f"run-{each:03}", step("a"), tag="even" if each % 2 == 0 else "odd & more"))
    listed = _walk(pages(), "/?tag=odd+%26+more", "next", lambda: None)
    assert [run_id for page in listed for run_id in page] == [f"run-{each:03}" for each in range(119, -1, -2)]


@on_every_kind
def test_the_running_come_first(runs: Runs, pages: Pages) -> None:
    """Also one that is older than the page, if its store can tell; not one that nobody writes any more."""
    open_step = step("a", attempts=[], status="PROCESSING")
    runs.put(run("lost", open_step, status="PROCESSING"))
    runs.put(run("long", open_step, status="PROCESSING"))
    for each in range(60):
        runs.put(run(f"run-{each:03}", step("a")))
    runs.put(run("short", open_step, status="PROCESSING"))
    runs.put(run("newest", step("a")))
    if isinstance(runs, SqlRuns):
        _change(runs, "lost", created_ns=1, updated_ns=2)
        _change(runs, "long", created_ns=3)
        top = ["short", "long", "newest", "run-059"]
    else:
        assert isinstance(runs, FileRuns)
        for name in ("short", "newest"):
            os.utime(runs.folder / f"{name}.json", (time.time() + (name == "newest"),) * 2)
        top = ["short", "newest", "run-059", "run-058"]
    answer = pages().get("/")
    assert Page(answer.text).run_ids[:4] == top
    assert answer.text.count('class="status run"') == (2 if isinstance(runs, SqlRuns) else 1)


def test_a_run_is_compared_with_the_median_of_its_pipeline(runs: Runs, pages: Pages) -> None:
    """Of the last ones that succeeded."""
    for number, seconds in enumerate((10, 20, 30)):
        runs.put(run(f"run-{number}", step("a", attempt(seconds=seconds))))
    runs.put(run("other", step("a", attempt(seconds=500)), pipeline="other"))
    labels = [str(a["aria-label"]) for tag, a in Page(pages().get("/").text).tags if tag == "svg"]
    assert labels == [
        "100 % of the median, 8 min 20 s",
        "150 % of the median, 20.0 s",
        "100 % of the median, 20.0 s",
        "50 % of the median, 20.0 s",
    ]


@on_every_kind
def test_many_pipelines_have_pages(runs: Runs, pages: Pages) -> None:
    """Each is on one of them, in the order of names."""
    names = [f"pipeline {number:02}/ä" for number in range(60)]
    for number, name in enumerate(names):
        runs.put(run(f"run-{number}", step("a"), pipeline=name))
    client, path, listed = pages(), "/pipelines", []
    while path:
        page = Page(client.get(path).text)
        links = [str(a["href"]) for tag, a in page.tags if tag == "a"]
        listed += [link for link in links if link.startswith("/pipelines/")]
        path = page.link("next")
    assert [Page(client.get(link).text).text.split("·")[0].strip() for link in listed] == names


def test_a_list_of_files_reads_only_so_many_for_a_page(tmp_path: Path) -> None:
    """Then it says that it ends early; the link goes on from there."""
    files = FileRuns(tmp_path)
    # One page reads 200 runs.
    files.put(run("wanted", step("a"), tag="rare"))
    for number in range(230):
        files.put(run(f"run-{number:03}", step("a")))
    client = TestClient(pages_app([files.source()]), base_url="http://localhost")
    first = client.get("/?tag=rare")
    assert (Page(first.text).run_ids, "search older runs" in first.text) == ([], True)
    second = client.get(Page(first.text).link("next"))
    assert (Page(second.text).run_ids, Page(second.text).link("next")) == (["wanted"], "")


def _change(runs: SqlRuns, run_id: str, **columns: int) -> None:
    table = runs.store.database.tables.runs

    def work(connection: Any) -> None:
        connection.execute(update(table).where(table.c.run_id == run_id).values(**columns))

    runs.store.database.write(work)
