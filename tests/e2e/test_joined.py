"""With `parent: child` a run is a part of its caller's trace, live, after a retry, and in a replay."""

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import oracle
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project
from tests.peers.collector import Collector
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import request

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STEP = "work on it"
CALLER = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "vendor=a", "BAGGAGE": "tenant=x"}
UNSAMPLED = CALLER | {"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"}
ANOTHER = {"TRACEPARENT": f"00-{'ab' * 16}-{'cd' * 8}-00", "TRACESTATE": "vendor=b", "BAGGAGE": ""}

Spans = dict[str, dict[str, Any]]


def project_in(folder: Path, executor: Mapping[str, Any], **telemetry: Any) -> Project:
    endpoint = f"file://{folder}/live.jsonl"
    return Project(folder, "chunked-fs", executor, {"endpoint": endpoint, "parent": "child", **telemetry})


def spans_in(path: Path) -> Spans:
    """The spans in a file of OTLP/JSON lines by their ids; one that came twice came alike."""
    spans: Spans = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        for resource in json.loads(line)["resourceSpans"]:
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                assert spans.setdefault(span["spanId"], span) == span
    return spans


@pytest.mark.parametrize(
    "executor",
    [pytest.param(LOCAL, marks=pytest.mark.canary), pytest.param(EMULATOR)],
    ids=["one process", "a process per step"],
)
def test_every_execution_is_in_the_callers_trace(tmp_path: Path, executor: Mapping[str, Any]) -> None:
    """A retry, too, whoever calls that one; and another run. A replay tells the same, byte for byte."""
    project = project_in(tmp_path, executor)
    project.run("parented", "r", **CALLER)
    (tmp_path / "mended").touch()
    project.retry("r", **ANOTHER).succeeded()
    project.run("parented", "other", **CALLER).succeeded()
    live = spans_in(tmp_path / "live.jsonl")
    assert {(span["traceId"], span["traceState"]) for span in live.values()} == {(TRACE, "vendor=a")}
    roots = {
        (run_id, execution): oracle.span_id(run_id, execution, "run")
        for run_id, execution in (("r", 1), ("r", 2), ("other", 1))
    }
    assert {span["spanId"] for span in live.values() if span["parentSpanId"] == SPAN} == set(roots.values())
    links = {key: [link["spanId"] for link in live[span].get("links", ())] for key, span in roots.items()}
    assert links == {("r", 1): [], ("r", 2): [roots["r", 1]], ("other", 1): []}
    attempts = [("r", 1, 1), ("r", 2, 2), ("other", 1, 1)]
    assert (tmp_path / "parents").read_text(encoding="utf-8").split() == [
        f"00-{TRACE}-{oracle.span_id(run_id, execution, 'attempt', STEP, number)}-01"
        for run_id, execution, number in attempts
    ]
    assert (tmp_path / "state").read_text(encoding="utf-8") == "vendor=a tenant=x"
    project.export("--all", "--endpoint", f"file://{tmp_path}/replay.jsonl").succeeded()
    assert spans_in(tmp_path / "replay.jsonl") == live
    printed = project.python("-m", "runlog_otel", "trace-id", "r", "--execution", "2").succeeded().output
    assert printed.strip() == TRACE


@pytest.mark.parametrize(
    ("pipeline", "executor"),
    [("side_by_side", PARALLEL), ("streaming", LOCAL), ("job", EMULATOR)],
    ids=["pool workers", "asynchronous", "job"],
)
def test_every_kind_of_run_joins(tmp_path: Path, pipeline: str, executor: Mapping[str, Any]) -> None:
    """One root below the caller, nothing in another trace, and the same in a replay."""
    project = project_in(tmp_path, executor)
    project.run(pipeline, "r", **CALLER).succeeded()
    project.export("--all", "--endpoint", f"file://{tmp_path}/replay.jsonl").succeeded()
    live = spans_in(tmp_path / "live.jsonl")
    assert {span["traceId"] for span in live.values()} == {TRACE}
    assert {span["parentSpanId"] for span in live.values()} - set(live) == {SPAN}
    assert spans_in(tmp_path / "replay.jsonl") == live


@pytest.mark.parametrize(
    ("caller", "is_mended", "is_sent"),
    [(CALLER, True, True), (UNSAMPLED, True, False), (UNSAMPLED, False, True)],
    ids=["sampled", "not sampled", "not sampled, but it failed"],
)
def test_the_caller_decides_on_sampling(
    tmp_path: Path, caller: Mapping[str, str], is_mended: bool, is_sent: bool
) -> None:
    """Whatever share the settings say; executions that failed are sent. The code of a step finds the same decision."""
    project = project_in(tmp_path, LOCAL, sample=0.0 if caller is CALLER else 1.0)
    if is_mended:
        (tmp_path / "mended").touch()
    project.run("parented", "r", **caller)
    assert (tmp_path / "parents").read_text(encoding="utf-8").strip().endswith(caller["TRACEPARENT"][-3:])
    project.export("--all", "--endpoint", f"file://{tmp_path}/replay.jsonl")
    live = spans_in(tmp_path / "live.jsonl")
    assert bool(live) is is_sent
    assert spans_in(tmp_path / "replay.jsonl") == live


def test_a_state_with_a_secret_is_dropped(tmp_path: Path) -> None:
    """It is no text that could be masked in part: others read it."""
    project = project_in(tmp_path, LOCAL, redact=["hunter[0-9]"])
    (tmp_path / "mended").touch()
    project.run("parented", "r", **CALLER | {"TRACESTATE": "vendor=hunter2"}).succeeded()
    assert "hunter2" not in json.dumps(project.log("r")["run_config"]["runlog_otel"])
    assert {span["traceId"] for span in spans_in(tmp_path / "live.jsonl").values()} == {TRACE}


@pytest.mark.parametrize("variables", [{}, {"TRACEPARENT": "hunter2"}], ids=["none", "malformed"])
def test_without_a_caller_a_run_has_a_trace_of_its_own(tmp_path: Path, variables: Mapping[str, str]) -> None:
    """As if it were not to join one; nothing of what is malformed is recorded."""
    project = project_in(tmp_path, LOCAL)
    project.run("parented", "r", **variables)
    assert {span["traceId"] for span in spans_in(tmp_path / "live.jsonl").values()} == {oracle.trace_id("r", 1)}
    assert "hunter2" not in json.dumps(project.log("r")["run_config"]["runlog_otel"])


def test_in_jaeger_two_runs_are_below_the_span_that_started_them(
    tmp_path: Path, jaeger: Jaeger, collector: Collector
) -> None:
    """One trace without warnings, whose runs say who started them, and what was checked out."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": collector.otlp_http, "parent": "child"})
    project.version("https://somebody:hunter2@git.example.org/group/tools.git")
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    start, end = (str(time.time_ns() + seconds * 10**9) for seconds in (0, 60))
    span = {"traceId": trace, "spanId": caller, "name": "deploy", "startTimeUnixNano": start, "endTimeUnixNano": end}
    document = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [span]}]}]}
    request(f"{collector.otlp_http}/v1/traces", json.dumps(document).encode())
    job = {"GITLAB_CI": "true", "CI_JOB_URL": "https://gitlab.example.org/jobs/1", "CI_PIPELINE_SOURCE": "schedule"}
    for run_id in ("one", "two"):
        project.run("named", run_id, TRACEPARENT=f"00-{trace}-{caller}-01", **job).succeeded()
    shown = jaeger.wait_for_trace(trace, spans=13)
    roots = [each for each in shown["spans"] if each["operationName"] == "RUN train"]
    assert [[ref["spanID"] for ref in each["references"]] for each in roots] == [[caller]] * 2
    assert [each for each in shown["spans"] if each["warnings"]] == []
    for root in roots:
        tags = {tag["key"]: tag["value"] for tag in root["tags"]}
        assert {
            key: value for key, value in tags.items() if key.startswith(("runlog.trigger", "vcs.ref.", "vcs.re"))
        } == {
            "runlog.trigger.type": "schedule",
            "runlog.trigger.name": "GitLab CI",
            "runlog.trigger.url.full": "https://gitlab.example.org/jobs/1",
            "vcs.ref.head.name": "master",
            "vcs.ref.head.revision": tags["vcs.ref.head.revision"],
            "vcs.ref.type": "branch",
            "vcs.repository.name": "tools",
            "vcs.repository.url.full": "https://git.example.org/group/tools",
        }
