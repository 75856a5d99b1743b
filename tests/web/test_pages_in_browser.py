"""The served pages in a real browser: nothing keeps people from reading them, nothing leaves their origin."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from runlog_otel.settings import Settings
from runlog_otel.sources.port import source_from_url
from runlog_otel.web.app import pages_app
from runlog_otel.web.server import PagesServer
from tests.peers.chromium import Browser
from tests.web.conftest import FileRuns, attempt, run, step
from tests.web.test_hostile import EVIL, everywhere

_FAILURE = 'ValueError: no more rows\n\nTraceback (most recent call last):\n  File "load.py", line 3, in load\n'


@pytest.fixture
def runs(tmp_path: Path) -> FileRuns:
    """Runs of a pipeline that measures, fails and passes on a retry; one with hostile texts."""
    files = FileRuns(tmp_path)
    for number in range(60):
        metrics = {"rows": {"kind": "metric", "value": number % 7}}
        load = [attempt(seconds=5 + number % 9, user_defined_metrics=metrics)]
        if number % 10 == 3:
            load = [attempt("FAIL", _FAILURE), *load]
        failed = number % 10 == 7
        publish = attempt("FAIL", _FAILURE) if failed else attempt()
        steps = (step("load", *load), step("publish", publish))
        files.put(run(f"run-{number:03}", *steps, status="FAIL" if failed else "SUCCESS", tag="nightly"))
    files.put(everywhere(EVIL))
    return files


@pytest.fixture
def url(runs: FileRuns) -> Iterator[str]:
    """Where the pages are served, without the slash at the end."""
    source = source_from_url(str(runs.folder), Settings.load({}, {}), os.environ.get)
    server = PagesServer(pages_app([source]), "127.0.0.1:0")
    thread = Thread(target=server.run)
    thread.start()
    yield server.url.rstrip("/")
    server.stop()
    thread.join()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?failure=rows",
        "/?status=running",
        "/pipelines",
        "/pipelines/train",
        "/compare",
        "/compare?tag=nightly",
        "/compare?run=run-007&run=run-008",
        "/runs/run-013",
        "/runs/evil",
        "/runs/absent",
    ],
)
def test_a_page_is_for_everybody_and_stays_at_home(
    browser: Browser, url: str, path: str, scheme: str, width: int
) -> None:
    """axe-core finds nothing, the console is empty, the page is no wider than the screen, every request is for here."""
    with browser.tab(url + path, width=width, color_scheme=scheme) as tab:
        assert tab.violations() == []
        refused = [problem for problem in tab.problems if "404" not in problem or path != "/runs/absent"]
        assert refused == []
        assert [request for request in tab.requests if not request.startswith(f"{url}/")] == []
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_list_grows_while_one_watches(browser: Browser, url: str, runs: FileRuns) -> None:
    """Also a run that is added appears, without loading the page again; not while runs are marked."""
    with browser.tab(url) as tab:
        tab.page.evaluate("window.stays = true")
        runs.put(run("added", step("load"), pipeline="other"))
        tab.page.get_by_role("link", name="added", exact=True).wait_for()
        tab.page.get_by_label("Compare added").check()
        tab.page.get_by_label("Compare run-059").check()
        runs.put(run("later", step("load")))
        assert tab.page.evaluate("window.stays")
        tab.page.get_by_role("button", name="Compare the marked runs").click()
        assert tab.page.url == f"{url}/compare?run=added&run=run-059"


def test_without_scripts_the_pages_do_the_same(browser: Browser, url: str) -> None:
    """Filters, paging, comparing are forms and links."""
    with browser.tab(url, java_script_enabled=False) as tab:
        tab.page.get_by_label("tag").fill("nightly")
        tab.page.get_by_label("status").select_option("success")
        tab.page.get_by_role("button", name="Filter").click()
        assert tab.page.url == f"{url}/?pipeline=&status=success&tag=nightly&since=&until=&failure="
        tab.page.get_by_role("link", name="older").click()
        assert tab.page.get_by_role("link", name="run-000").count() == 1
        tab.page.get_by_role("link", name="newer").click()
        assert tab.page.get_by_role("link", name="run-059").count() == 1
        tab.page.get_by_role("link", name="run-059").click()
        assert tab.page.url == f"{url}/runs/run-059"
