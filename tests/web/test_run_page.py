"""The page of a run: what is on it, in words and in HTML."""

import json
import re
from dataclasses import replace
from datetime import timezone
from typing import Any

import pytest

from runlog_otel.core.log_lines import Output
from runlog_otel.core.model import ExecutionLog, Status
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.redaction import fingerprint_of
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import SourceError
from runlog_otel.mapping import traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.web.run_page import run_page
from runlog_otel.web.site import Site
from tests.web.pages import LOGS, SECOND, Page, at, attempt, log, page_of, rendered, run_of, step

_SETTINGS = Settings.load({}, {})
_TRACEBACK = (
    'Traceback (most recent call last):\n  File "/app/pipeline.py", line 37, in publish\n    push(rows)\n'
    '  File "/usr/lib/python3.11/site-packages/registry/api.py", line 9, in push\n    raise ConnectionError(text)\n'
    "ConnectionError: no answer"
)


@pytest.mark.parametrize("name", LOGS)
def test_every_recorded_run_has_a_page(name: str) -> None:
    """With its id, its pipeline, how it ended, and a row for each step; well-formed, served and as a report."""
    page = page_of(log(name))
    for site in (Site(), None):
        html = Page(rendered(page, site))
        assert page.run_id in html.text
        assert html.open == []
        ids = [value for tag, attributes in html.tags if (value := attributes.get("id")) and tag != "svg"]
        assert len(ids) == len(set(ids))
        anchors = {value[1:] for value in html.attributes("href") if value.startswith("#")}
        assert anchors - set(ids) == set()


@pytest.mark.parametrize("name", LOGS)
def test_a_table_has_headers_and_the_page_one_title(name: str) -> None:
    """For readers of screens: one h1, h2 below it, a scope at each header."""
    html = Page(rendered(page_of(log(name)), Site()))
    tags = [tag for tag, _ in html.tags]
    assert (tags.count("h1"), tags.count("h3")) == (1, 0)
    assert [attributes for tag, attributes in html.tags if tag == "th" and "scope" not in attributes] == []
    assert [attributes for tag, attributes in html.tags if tag == "button" and attributes.get("type") != "button"] == []


def test_the_answer_comes_before_the_chart() -> None:
    """What failed, why, and the user's own lines of the traceback."""
    failed = attempt(1, 2, Status.FAIL, message=f"ConnectionError: no answer\n\n{_TRACEBACK}")
    run = run_of(step("load", attempt(0, 1)), step("publish", failed, status=Status.FAIL), status=Status.FAIL)
    page = run_page(run, _SETTINGS)
    assert page.latest is not None
    why = page.latest.why
    assert why is not None
    assert (page.result, page.colour, why.kind) == ("failure", "bad", "failed")
    assert why.answer == "publish failed: ConnectionError: no answer"
    assert why.frames == '  File "/app/pipeline.py", line 37, in publish\n    push(rows)'
    html = rendered(page)
    assert (
        html.index("publish failed: ConnectionError") < html.index('class="waterfall') < html.index("Failed attempts")
    )
    assert [(f.where, f.error_type, f.stacktrace, f.is_recovered) for f in page.latest.failures.shown] == [
        ("publish", "ConnectionError", _TRACEBACK, False)
    ]
    assert f"s-{why.row}" in Page(html).attributes("id")


def test_a_failure_that_did_no_harm_is_said_calmly() -> None:
    """The run went on, or a retry succeeded."""
    run = run_of(step("fetch", attempt(0, 1, Status.FAIL, message="slow"), attempt(1, 2, number=2)))
    page = run_page(run, _SETTINGS)
    assert page.latest is not None
    assert page.latest.why is not None
    assert (page.colour, page.latest.why.kind, page.latest.why.answer) == (
        *("ok", "survived"),
        "fetch failed, and a later attempt succeeded: slow",
    )
    assert [failure.is_recovered for failure in page.latest.failures.shown] == [True]


def test_executions_are_on_one_page_the_newest_first() -> None:
    """Earlier ones can be opened; each has its trace."""
    page = page_of(log("retried"), {"ui": "https://jaeger.example.org"})
    assert [(e.number, e.result) for e in page.executions] == [(2, "success"), (1, "failure")]
    html = Page(rendered(page, Site()))
    assert [attributes for tag, attributes in html.tags if tag == "details" and attributes.get("id") == "e-1"] == [
        {"id": "e-1"}
    ]
    traces = [url for url in html.attributes("href") if url.startswith("https://jaeger.example.org/trace/")]
    assert {url.rsplit("/", 1)[1].partition("?")[0] for url in traces} == {
        execution.trace_id for execution in page.executions
    }


def test_what_the_code_said_is_on_the_page() -> None:
    """Metrics, annotations, events, where it ran, what it used, who started it."""
    page = page_of(log("annotated"))
    assert page.latest is not None
    tables = page.latest.tables
    assert [(said.kind, said.name, said.value) for said in tables.said.rows] == [
        ("annotation", "rows", 1200),
        ("annotation", "source", "https://********@orders.example.org/all"),
        ("annotation", "columns", "id, region"),
        ("metric", "orders", 1200),
        ("event", "checkpoint", "epoch=3"),
        ("metric", "accuracy", 0.93),
    ]
    assert [(u.place, u.cpu_seconds, u.memory_bytes, u.memory_limit) for u in tables.usage.rows] == [
        ("worker-1:42", 0.11, 61000000, 268435456)
    ]
    assert {(fact.name, fact.value) for fact in page.latest.facts} >= {
        *(("started by", "ci, github"), ("branch", "main"), ("peak memory", "58 MiB"), ("on", "worker-1")),
    }


def test_a_parameter_is_named_and_its_value_kept() -> None:
    """Unless the settings list it; `--reveal` shows all but those named like a secret."""
    document = log("demo")
    first = document["steps"]["load orders"]["attempts"][0]
    for name, value in (("rate", "canary-rate"), ("db_password", "canary-password")):
        first["input_parameters"][name] = {"kind": "json", "value": value, "description": value}
    first["input_parameters"]["url"] = {
        "kind": "json",
        "value": "https://user:canary-url@example.org/",
        "description": "",
    }

    def shown(**options: Any) -> tuple[str, dict[str, list[str]]]:
        settings = options.pop("settings", {})
        page = page_of(document, settings, **options)
        assert page.latest is not None
        return rendered(page), {p.name: p.values for p in page.latest.tables.parameters.rows if p.values}

    html, values = shown()
    assert (values, "canary" in html, "db_password" in html) == ({}, False, True)
    html, values = shown(settings={"parameters": ["rate"]})
    assert (values, "canary-rate" in html) == ({"rate": ["canary-rate"]}, True)
    html, values = shown(is_revealing=True)
    assert (values["rate"], values["url"]) == (["canary-rate"], ["https://********@example.org/"])
    assert ("canary-password" in html, "canary-url" in html) == (False, False)


def test_the_pipelines_other_runs_are_dots() -> None:
    """In the order in which they began; a failure looks for itself in them."""
    records = []
    for number in range(6):
        past = run_of(step("load", attempt(10 * number, 10 * number + 1)), run_id=f"run-{number}")
        past = replace(past, header=replace(past.header, created_ns=at(10 * number)))
        records += records_of(past, traces_from_run(past, _SETTINGS, is_abandoned=True))
    run = run_of(step("load", attempt(100, 109)), run_id="here")
    run = replace(run, header=replace(run.header, created_ns=at(100)))
    page = run_page(run, _SETTINGS, history=records, site=Site())
    assert page.history is not None
    assert [(dot.url, dot.kind) for dot in page.history.dots] == [
        *((f"/runs/run-{number}", "ok") for number in range(6)),
        ("", "here"),
    ]
    assert [rule.label for rule in page.history.rules] == ["median 1.00 s"]
    assert page.latest is not None
    assert (page.latest.usual_ns, page.latest.why and page.latest.why.kind) == (SECOND + 1, "slow")
    html = Page(rendered(page, Site()))
    assert {url for url in html.attributes("href") if url.startswith("/runs/")} == {f"/runs/run-{n}" for n in range(6)}
    report = Page(rendered(run_page(run, _SETTINGS, history=records)))
    assert [url for url in report.attributes("href") if "run-" in url] == []


def test_output_is_shown_from_its_end() -> None:
    """Of failed attempts first; an error of its store is one line."""
    noted = ExecutionLog("publish.execution.log", 80)
    run = run_of(
        step("load", attempt(0, 1, log=ExecutionLog("load.execution.log", 80))),
        step("publish", attempt(1, 2, Status.FAIL, message="no", log=noted), status=Status.FAIL),
        status=Status.FAIL,
    )
    page = run_page(run, _SETTINGS, read_output=lambda log: Output(f"{log.name}\n" * 99 + "token=canary\nERROR: no\n"))
    assert page.latest is not None
    first, second = page.latest.outputs
    assert (first.where, first.has_failed, first.before, len(first.lines)) == ("publish", True, 1, 100)
    assert [(line.text, line.severity) for line in first.lines[-2:]] == [("token=********", ""), ("ERROR: no", "bad")]
    assert (second.where, second.has_failed) == ("load", False)

    def refuse(_: ExecutionLog) -> Output:
        raise SourceError("minio", "no answer")

    page = run_page(run, _SETTINGS, read_output=refuse)
    assert page.latest is not None
    assert [output.problem for output in page.latest.outputs] == ["minio: no answer"]
    assert "The output is out of reach: minio: no answer" in rendered(page)


def _running() -> Any:
    document = log("demo")
    document["status"] = "PROCESSING"
    del document["steps"]["success"]
    document["steps"]["publish to mirror"] |= {"status": "PROCESSING", "attempts": []}
    return document


def test_a_run_in_progress_is_read_again() -> None:
    """By the script, without it by the browser; a report is not, and one that nobody wrote to for a day neither."""
    end_ns = 1795243117600000000
    page = page_of(_running(), now_ns=end_ns + 5 * SECOND)
    assert (page.result, page.is_live) == ("running", True)
    html = Page(rendered(page, Site()))
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in html.tags
    assert [attributes for tag, attributes in html.tags if tag == "main"] == [
        {"id": "content", "tabindex": "-1", "data-live": None}
    ]
    assert "data-live" not in [name for _, attributes in Page(rendered(page)).tags for name in attributes]
    assert page.latest is not None
    assert page.latest.waterfall.end_ns == end_ns + 5 * SECOND
    stale = page_of(_running(), now_ns=end_ns + 48 * 3600 * SECOND)
    assert (stale.is_live, stale.latest and stale.latest.duration_ns < 10 * SECOND) == (False, True)
    assert "it may have been killed" in rendered(stale, Site())


def test_a_run_without_a_step_has_a_page() -> None:
    """It says so."""
    run = run_of(step("load", attempt(0, 1)))
    empty = replace(run, steps=(), status=Status.PROCESSING, header=replace(run.header, created_ns=None))
    page = run_page(empty, _SETTINGS)
    assert (page.result, page.colour, "It has recorded nothing yet." in rendered(page)) == ("running", "run", True)
    ended = run_page(replace(empty, status=Status.FAIL), _SETTINGS)
    assert (ended.result, "It has ended without a step." in rendered(ended)) == ("failure", True)


@pytest.mark.parametrize("name", LOGS)
def test_a_report_says_what_the_page_says(name: str) -> None:
    """Word for word; only links between pages are missing."""
    page = page_of(log(name))

    def text(html: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", "", html[html.index("<main") : html.index("</main>")]).split())

    assert text(rendered(page)) == text(rendered(page, Site()))


def test_a_secret_of_the_host_is_masked_everywhere() -> None:
    """Where the log has its fingerprint: in the tag, a parameter, a message, the output."""
    secret = "correct-horse-battery"
    mark = fingerprint_of(secret, "some-run-0001")
    failed = attempt(
        *(0, 1, Status.FAIL),
        message=f"ValueError: {secret}",
        input_parameters=("rate",),
        input_values={"rate": secret},
        metrics={"quality": secret},
        log=ExecutionLog("a.execution.log", 80),
        marks=(mark,),
    )
    run = run_of(step("load", failed, status=Status.FAIL), status=Status.FAIL, tag=secret)
    html = rendered(run_page(run, _SETTINGS, is_revealing=True, read_output=lambda _: Output(f"{secret}\n")))
    assert (secret in html, html.count("********") >= 5) == (False, True)


def test_equal_logs_make_equal_pages() -> None:
    """In whatever order the store returns the iterations: a report can be compared."""
    for name in LOGS:
        assert rendered(page_of(log(name))) == rendered(page_of(log(name)))
    document = log("demo")
    branches = document["steps"]["clean regions"]["branches"]
    document["steps"]["clean regions"]["branches"] = dict(reversed(branches.items()))
    assert rendered(page_of(document)) == rendered(page_of(log("demo")))


def test_ten_thousand_steps_fit_on_a_page() -> None:
    """Every step has a row, and the tables say how many rows they leave out."""
    document = log("demo")
    steps = document["steps"]["clean regions"]
    inner = json.dumps(steps["branches"]["clean regions.north"])
    steps["branches"] = {
        f"clean regions.r{n}": json.loads(inner.replace("clean regions.north", f"clean regions.r{n}"))
        for n in range(10_000)
    }
    page = page_of(document)
    assert page.latest is not None
    html = rendered(page)
    assert html.count("<tr id=") == 10_007
    assert len(html) < 6_000_000
    assert len(list(page.latest.waterfall.chunks)) == 201


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m",
    "abc\u202edcba\u2066\u200b",
    "'\"><svg onload=alert(1)>",
    "x" * 100_000,
    "{{ 7 * 7 }}{% raw %}",
    "\udcff\x00",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_log_is_text(text: str) -> None:
    """Wherever it stands: nothing of it is markup, moves the cursor, reorders or hides text, or fills the page."""
    document = json.loads(json.dumps(log("annotated")).replace("publish to mirror", json.dumps(text)[1:-1]))
    document["tag"] = document["run_id"] = text
    publish = document["steps"]["publish"]["attempts"][0]
    publish["message"] = f'{text}: {text}\n\nTraceback (most recent call last):\n  File "{text}", line 1\n{text}'
    publish["user_defined_metrics"] = {text: {"kind": "metric", "value": text}}
    publish["input_parameters"] = {text: {"kind": "json", "value": text, "description": text}}
    document["steps"]["publish"]["data_catalog"] = [
        {
            "name": text,
            "data_hash": text,
            "catalog_relative_path": text,
            "catalog_handler_location": text,
            "stage": "put",
        }
    ]
    run = run_from_log(document, zone=timezone.utc)
    page = run_page(run, Settings.load({"parameters": ["*"]}, {}), read_output=lambda _: Output(text))
    for site in (Site(search=text), None):
        html = rendered(page, site)
        own = {tag for tag, _ in Page(rendered(page_of(log("annotated")), site)).tags}
        parsed = Page(html)
        assert {tag for tag, _ in parsed.tags} - own <= {"details", "summary", "pre"}
        assert [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")] == []
        assert "style" not in {name for _, attributes in parsed.tags for name in attributes}
        assert [c for c in html if not c.isprintable() and c != "\n"] == []
        assert len(html) < 200_000
        assert html.encode()
        assert parsed.open == []
