"""Every page over files and SQLite: what it shows, and which requests it refuses."""

import os
import re

import pytest
from starlette.testclient import TestClient

from runlog_otel.settings import Settings
from runlog_otel.sources.port import source_from_url
from runlog_otel.web.app import pages_app
from runlog_otel.web.rendering import STATIC
from runlog_otel.web.security import HEADERS, Access
from tests.web.conftest import Page, Pages, Runs, attempt, on_every_kind, run, step

FAILED = attempt(
    "FAIL", 'ValueError: no more rows\n\nTraceback (most recent call last):\n  File "load.py", line 3, in load\n', 7
)
EVERY_PAGE = (
    "/",
    "/runs/good",
    "/runs/bad",
    "/pipelines",
    "/pipelines/train",
    "/compare",
    "/compare?run=good&run=bad",
    "/compare?tag=t",
)


@pytest.fixture
def two(runs: Runs) -> Runs:
    """A run that succeeded, and one that failed after it."""
    metrics = {"rows": {"kind": "metric", "value": 12}}
    runs.put(run("good", step("load", attempt(user_defined_metrics=metrics)), tag="t"))
    runs.put(run("bad", step("load", FAILED), status="FAIL", tag="t"))
    return runs


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_page_answers_with_its_headers(two: Runs, pages: Pages, path: str) -> None:
    """HEAD gives the same without the page; nothing is inline, and nothing leads to another origin."""
    client = pages()
    answer, head = client.get(path), client.head(path)
    assert (answer.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers == answer.headers
    assert HEADERS.items() <= dict(answer.headers).items()
    page = Page(answer.text)
    assert "<style" not in answer.text
    assert [
        name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")
    ] == []
    links = [attributes.get(name) for _, attributes in page.tags for name in ("href", "src", "action")]
    assert [link for link in links if link is not None and not link.startswith(("/", "#"))] == []


def test_the_files_of_the_look_are_served(pages: Pages) -> None:
    """With their types; no other file is."""
    client = pages()
    for name, media_type in STATIC.items():
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type)
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e%2fapp.py").status_code == 404


@on_every_kind
def test_the_list_says_what_failed(two: Runs, pages: Pages) -> None:
    """One line a run: status, step, first line of the failure, tag."""
    rows = re.findall(r"<tr>(.*?)</tr>", pages().get("/").text, re.DOTALL)[1:]
    texts = [" ".join(Page(row).text.split()) for row in rows]
    assert texts == [
        "failure train bad 1 Jan 2026 10:00:00 UTC 7.00 s load ValueError: no more rows t",
        "success train good 1 Jan 2026 10:00:00 UTC 5.00 s t",
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["bad", "good"]),
        ("status=failure", ["bad"]),
        ("status=SUCCESS", ["good"]),
        ("status=running", []),
        ("pipeline=train&status=success", ["good"]),
        ("pipeline=other", []),
        ("tag=t", ["bad", "good"]),
        ("tag=%27+OR+1%3D1", []),
        ("failure=MORE+rows", ["bad"]),
        ("failure=%25", []),
        ("since=2999-01-01", []),
        ("until=1971-01-01", []),
    ],
)
def test_filters_stand_in_the_url(two: Runs, pages: Pages, query: str, expected: list[str]) -> None:
    """And the form shows them again."""
    answer = pages().get(f"/?{query}")
    assert Page(answer.text).run_ids == expected


def test_the_search_leads_to_a_run_or_to_failures(two: Runs, pages: Pages) -> None:
    """An id to its page, any other text to the runs that failed with it."""
    client = pages()
    found = {text: client.get("/", params={"q": text}).headers["location"] for text in ("good", "no rows & more")}
    assert found == {"good": "/runs/good", "no rows & more": "/?failure=no+rows+%26+more"}


@on_every_kind
def test_the_page_of_a_pipeline_shows_its_history(two: Runs, pages: Pages) -> None:
    """Success rate, steps, numbers that its code measured, and failures by type and place."""
    text = " ".join(Page(pages().get("/pipelines/train").text).text.split())
    assert "succeeded 50 % (1 of 2 runs that ended) median 5.00 s" in text
    assert "ValueError load.py in load ValueError: no more rows 1 1 Jan 2026 10:00:07 UTC" in text
    assert "What its code measured step name last over runs load rows 12" in text


def test_a_comparison_says_what_is_slower(two: Runs, pages: Pages) -> None:
    """Against the first run."""
    text = " ".join(Page(pages().get("/compare?run=good&run=bad").text).text.split())
    assert "bad took 2.00 s longer than good : load +2.00 s ." in text
    assert "load 5.00 s +2.00 s failure 7.00 s" in text


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        ("/nothing", 404, "There is no such page."),
        ("/runs/absent", 404, "run 'absent' is not in"),
        ("/runs/..%2F..%2Fetc", 404, ""),
        ("/pipelines/absent", 404, "no run of a pipeline 'absent' is found"),
        ("/?status=odd", 400, "status: 'odd' is none of running, success, failure"),
        ("/?since=odd", 400, "since: 'odd' is neither an age (30m, 24h, 7d, 2w) nor a time"),
        ("/?after=odd", 400, "after: 'odd' is not the end of a page"),
        ("/compare?run=good", 400, "compare: there is 1 run that can be read; two or more are compared"),
        ("/compare?tag=none", 400, "compare: tag 'none' has 0 run that can be read; two or more are compared"),
        ("/compare?" + "&".join(f"run={number}" for number in range(13)), 400, "run: at most 12 runs are compared"),
    ],
)
def test_a_wrong_request_is_one_clear_line(two: Runs, pages: Pages, path: str, status: int, problem: str) -> None:
    """On a page with the same headers."""
    answer = pages().get(path)
    (line,) = re.findall(r"<h1>.*?</h1>\n<p>(.*?)</p>", answer.text)
    assert (answer.status_code, "\n" in line) == (status, False)
    assert problem in Page(line).text
    assert HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_the_pages_are_read_only(pages: Pages, method: str) -> None:
    """Every other method is refused."""
    answer = pages().request(method, "/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9463", 200),
        ("127.0.0.1:9463", 200),
        ("[::1]:9463", 200),
        ("10.1.2.3", 200),
        ("pages.example", 200),
        ("evil.example", 400),
        ("evil.example:9463", 400),
        ("localhost.evil.example", 400),
        ("", 400),
        ("[", 400),
    ],
)
def test_a_foreign_name_is_refused(two: Runs, pages: Pages, host: str, status: int) -> None:
    """A page of another site, whose name leads to this machine, cannot read runs."""
    assert pages(access=Access(hosts=("pages.example",))).get("/", headers={"host": host}).status_code == status


def test_a_login_protects_every_page(two: Runs, pages: Pages) -> None:
    """Files included; the page says nothing without it."""
    client = pages(access=Access("me:secret"))
    for path in (*EVERY_PAGE, "/static/style.css", "/nothing"):
        assert (client.get(path).status_code, client.get(path, auth=("me", "wrong")).status_code) == (401, 401)
    assert client.get("/", auth=("me", "secret")).status_code == 200


def test_several_sources_have_pages_of_their_own(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Below a number each; the first page names them."""
    runs.put(run("here", step("a")))
    other = source_from_url(str(tmp_path_factory.mktemp("other")), Settings.load({}, {}), os.environ.get)
    here = runs.source()
    client = TestClient(pages_app([here, other]), base_url="http://localhost")
    links = [attributes.get("href") for tag, attributes in Page(client.get("/").text).tags if tag == "a"]
    assert {"/1/", "/2/"} <= set(links)
    assert [Page(client.get(path).text).run_ids for path in ("/1/", "/2/")] == [["here"], []]
    assert "/1/runs/here" in client.get("/1/").text
    assert '<a class="name" href="/">' in client.get("/1/runs/here").text
    for path in ("/", "/2/runs/here", "/nothing"):
        page = Page((answer := client.get(path)).text)
        assert answer.status_code == (200 if path == "/" else 404)
        assert {client.get(str(a["href"])).status_code for tag, a in page.tags if tag == "link"} == {200}
    here.close()


def test_runs_that_cannot_be_reached_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Without the password that is in the address of the database."""
    source = source_from_url("postgresql://me:canary@127.0.0.1:1/runs", Settings.load({}, {}), os.environ.get)
    answer = TestClient(pages_app([source]), base_url="http://localhost").get("/")
    assert answer.status_code == 503
    assert "canary" not in answer.text + caplog.text
