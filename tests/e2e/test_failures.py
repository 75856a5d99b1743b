"""Jaeger shows why an attempt failed, and what ran in it, live and after a replay: byte for byte the same."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import oracle
from tests.e2e.backend import backend, healthy
from tests.e2e.test_jaeger import wait_for_all
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project
from tests.peers.jaeger import Jaeger

PATIENT = {"exit_budget_seconds": 60.0}
"""What a run waits for when the machine is busy: here it is not about what telemetry may cost."""
FAILURES: Mapping[str, tuple[str, str, str]] = {
    "failing_python": ("explode", "ValueError", "no more rows"),
    "failing_shell": ("lift off", "exit_3", "exit status 3"),
    "failing_notebook": ("read", "LookupError", "no page in the notebook"),
}


def failed_attempt(jaeger: Jaeger, run_id: str, step: str) -> dict[str, Any]:
    """The failed attempt at a step, as Jaeger's API has it."""
    own = oracle.span_id(run_id, 1, "attempt", step, 1)
    wait_for_all(jaeger, jaeger.otlp_http)
    (span,) = [span for span in shown(jaeger, run_id) if span["spanID"] == own]
    return span


def shown(jaeger: Jaeger, run_id: str) -> list[dict[str, Any]]:
    """The spans of a run, in the order of their ids."""
    trace = jaeger.trace(oracle.trace_id(run_id, 1))
    assert trace is not None
    return sorted(trace["spans"], key=lambda span: str(span["spanID"]))


@pytest.mark.parametrize("executor", [LOCAL, EMULATOR], ids=["local", "emulator"])
@pytest.mark.parametrize("pipeline", FAILURES)
def test_jaeger_shows_why_a_step_failed(
    tmp_path: Path, jaeger: Jaeger, pipeline: str, executor: Mapping[str, Any]
) -> None:
    """Type, message, traceback and status stand in the API's answer, and a replay adds no span and changes none."""
    step, kind, message = FAILURES[pipeline]
    run_id = secrets.token_hex(4)
    project = Project(tmp_path, "file-system", executor, PATIENT | {"endpoint": jaeger.otlp_http})
    project.run(pipeline, run_id)
    live = failed_attempt(jaeger, run_id, step)
    tags = {tag["key"]: tag["value"] for tag in live["tags"]}
    (event,) = ({field["key"]: field["value"] for field in log["fields"]} for log in live["logs"])
    has_trace = kind in ("ValueError", "LookupError")
    assert (event["event"], event["exception.message"]) == ("exception", message)
    assert event.get("exception.type") == (kind if has_trace else None)
    assert (tags["error.type"], tags["otel.status_description"]) == (kind, message)
    assert tags.get("process.exit.code") == (None if has_trace else 3)
    assert event.get("exception.stacktrace", "").endswith(f"{kind}: {message}" if has_trace else "")
    assert ("exception.stacktrace" in event) is has_trace
    before = shown(jaeger, run_id)
    project.export(run_id).succeeded()
    wait_for_all(jaeger, jaeger.otlp_http)
    assert shown(jaeger, run_id) == before


@pytest.mark.parametrize("pipeline", FAILURES)
def test_a_replay_of_a_failure_is_the_same_to_the_byte(tmp_path: Path, pipeline: str) -> None:
    """What is sent live and what is sent from the log have equal bytes."""
    with backend(healthy) as server:
        project = Project(tmp_path, "file-system", LOCAL, PATIENT | {"endpoint": server.url})
        project.run(pipeline, "r")
        live = server.spans_of("r")
        server.acknowledged.clear()
        project.export("r").succeeded()
        assert server.spans_of("r") == live
    assert len(live) >= 4


@pytest.mark.parametrize("executor", [LOCAL, PARALLEL, EMULATOR], ids=["local", "parallel", "emulator"])
def test_jaeger_shows_the_spans_of_a_step_in_its_run(
    tmp_path: Path, jaeger: Jaeger, executor: Mapping[str, Any]
) -> None:
    """With logfire switched on by the host's own variable, its spans and a library's stand under the attempts."""
    run_id = secrets.token_hex(4)
    project = Project(tmp_path, "chunked-fs", executor, PATIENT | {"endpoint": jaeger.otlp_http})
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http, "OTEL_METRICS_EXPORTER": "none"}
    project.run("instrumented", run_id, SERVER=jaeger.ui, LOGFIRE="host", **endpoint)
    wait_for_all(jaeger, jaeger.otlp_http)
    spans = {span["spanID"]: span for span in shown(jaeger, run_id)}
    parents = {own: "".join(ref["spanID"] for ref in span["references"]) for own, span in spans.items()}
    attempt = oracle.span_id(run_id, 1, "attempt", "load", 1)
    (task,) = [own for own, parent in parents.items() if parent == attempt and "task:" in spans[own]["operationName"]]
    below = {spans[own]["operationName"] for own, parent in parents.items() if parent == task}
    assert {"own span in load", "GET", "select", "thread in load"} <= below
