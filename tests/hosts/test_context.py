"""While the code of a step runs, its attempt is the parent of whatever makes spans; afterwards all is as before."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import oracle
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project

STEPS = {
    "own span in load": "load",
    "GET": "load",
    "select": "load",
    "child of load": "load",
    "thread in load": "load",
    "own span in left": "each side.left.work",
    "own span in right": "each side.right.work",
    "own span in first": "both.one.first",
    "own span in second": "both.two.second",
    "child of shell": "shell",
    "own span in fragile": "fragile",
}
"""Each span that `instrumented` makes, and the step that it is made in."""
HOSTS_OWN = ("task:{task_name}", "Task started", "Task completed", "Task failed")

Noted = list[dict[str, str]]


class Server(BaseHTTPRequestHandler):
    """Remembers the `traceparent` of each request."""

    seen: list[str]

    def do_GET(self) -> None:
        """Note it, and answer with nothing."""
        self.seen.append(self.headers.get("traceparent", ""))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server of somebody else's, that steps call."""
    Server.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def noted(project: Project) -> Noted:
    """The spans that the program made, and no longer remembers."""
    path = project.folder / "noted.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    return [json.loads(line) for line in lines]


def parents(spans: Noted) -> Counter[tuple[str, str, str]]:
    """How often a span of a name stands in a trace, at any depth, under a span that the program did not make."""
    above = {span["span"]: span["parent"] for span in spans}

    def topmost(span: str) -> str:
        return topmost(above[span]) if span in above else span

    return Counter((span["name"], span["trace"], topmost(span["span"])) for span in spans)


def expected(run_id: str, execution: int, attempts: Mapping[str, tuple[str, int]]) -> Counter[tuple[str, str, str]]:
    """The same, from the names of spans with their step and its attempt."""
    trace = oracle.trace_id(run_id, execution)
    return Counter(
        {
            (name, trace, oracle.span_id(run_id, execution, "attempt", *attempt)): 2 if "thread" in name else 1
            for name, attempt in attempts.items()
        }
    )


@pytest.mark.parametrize("logfire", ["", "1"], ids=["sdk", "logfire"])
@pytest.mark.parametrize("executor", [LOCAL, PARALLEL, EMULATOR], ids=["local", "parallel", "emulator"])
def test_spans_of_a_step_stand_under_its_attempt(
    tmp_path: Path, server: ThreadingHTTPServer, executor: Mapping[str, Any], logfire: str
) -> None:
    """Libraries, threads, programs and shells, in the first execution and in a retry; the process is as before."""
    project = Project(tmp_path, "chunked-fs", executor, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    variables = {"SERVER": f"http://127.0.0.1:{server.server_port}/", "LOGFIRE": logfire, "TRACESTATE": "callers=1"}
    done = project.run("instrumented", "r", **variables)
    assert done.returncode != 0
    assert ("SAME" in done.output, "CHANGED" in done.output, "telemetry failed" in done.output) == (True, False, False)
    spans = noted(project)
    own = [span for span in spans if span["name"] in STEPS]
    assert parents(own + tasks(spans)) - parents(tasks(spans)) == expected(
        "r", 1, {name: (step, 1) for name, step in STEPS.items()}
    )
    assert {span["baggage"] for span in spans} == {""}
    if logfire:
        attempts = {oracle.span_id("r", 1, "attempt", step, 1) for step in STEPS.values()}
        assert {span["parent"] for span in spans if span["name"] == "task:{task_name}"} == attempts
    (project.folder / "mended").touch()
    done = project.retry("r", **variables).succeeded()
    again = noted(project)
    own = [span for span in again if span["name"] in STEPS]
    assert parents(own + tasks(again)) - parents(tasks(again)) == expected(
        "r", 2, {"own span in fragile": ("fragile", 2)}
    )
    assert {line[3:35] for line in Server.seen} == {oracle.trace_id("r", 1)}


def tasks(spans: Noted) -> Noted:
    """The spans that the host makes around a step's code when logfire is on."""
    return [span for span in spans if span["name"] in HOSTS_OWN]


@pytest.mark.parametrize("logfire", ["", "1"], ids=["sdk", "logfire"])
def test_spans_of_an_asynchronous_step_stand_under_its_attempt(
    tmp_path: Path, server: ThreadingHTTPServer, logfire: str
) -> None:
    """Before and after a step waits, in tasks that it starts, and in a thread that it hands work to."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": f"file://{tmp_path}/spans.jsonl", "baggage": True})
    variables = {"SERVER": f"http://127.0.0.1:{server.server_port}/", "LOGFIRE": logfire}
    done = project.run("instrumented_async", "r", **variables)
    assert ("SAME" in done.output, "CHANGED" in done.output) == (True, False)
    spans = [span for span in noted(project) if not span["name"].startswith(("pipeline", "Pipeline", "Async"))]
    answer = dict.fromkeys(("before the first word", "a task", "after the first word", "GET"), ("answer", 1))
    told = expected("r", 1, answer | {"in check": ("check", 1)})
    told += expected("r", 1, {"a task": ("answer", 1)})
    assert parents(spans) - parents(tasks(spans)) == told
    assert {span["baggage"] for span in spans} == {"r"}
    message = project.log("r")["steps"]["check"]["attempts"][0]["message"]
    assert message.startswith("ValueError: 1 word\n\nTraceback (most recent call last):\n")


@pytest.mark.parametrize("logfire", ["", "1"], ids=["sdk", "logfire"])
def test_a_run_that_the_host_breaks_off_leaves_nothing_current(tmp_path: Path, logfire: str) -> None:
    """The next run in the process has no caller, and a run that a step starts in a process of its own has the step."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    done = project.run("unfinished", "r", LOGFIRE=logfire, NESTED="nested").succeeded()
    callers = {
        run: project.log(run)["run_config"]["runlog_otel"]["traceparent"] for run in ("r", "afterwards", "nested")
    }
    attempt = f"00-{oracle.trace_id('r', 1)}-{oracle.span_id('r', 1, 'attempt', 'work', 1)}-01"
    assert callers["nested"] == attempt
    assert oracle.trace_id("r", 1) not in callers["r"] + callers["afterwards"]
    assert "NO QUEUE FILTERS 0" in done.output.splitlines()
    assert "CHANGED" not in done.output or logfire  # its span around the code was open when the context was looked at
