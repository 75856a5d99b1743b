"""Real pipelines, sent through a real Collector, are in a real Jaeger what their run logs say."""

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core import identity
from tests.e2e.oracle import Oracle
from tests.e2e.told import Told, differences, outside, told_by_jaeger
from tests.hosts.project import EMULATOR, LOCAL, MOCKED, PARALLEL, Project
from tests.peers.collector import Collector
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import request

FILES: Mapping[str, Mapping[str, Any]] = dict.fromkeys(
    (
        "sequential",
        "failing_python",
        "failing_shell",
        "recovery",
        "choice",
        "side_by_side",
        "regions",
        "failing_regions",
        "repeat",
        "nested",
        "mended",
        "mended_again",
        "job",
        "failing_job",
        "streaming",
    ),
    LOCAL,
)
CHUNKS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(FILES, EMULATOR),
    **dict.fromkeys(("side_by_side", "regions", "failing_regions", "repeat", "nested", "mended"), PARALLEL),
}
CASES = [
    *(("file-system", executor, pipeline) for pipeline, executor in FILES.items()),
    *(("chunked-fs", executor, pipeline) for pipeline, executor in CHUNKS.items()),
    # What these executors do with branches and retries that is their own.
    *(("chunked-fs", EMULATOR, pipeline) for pipeline in ("regions", "nested", "mended")),
    ("file-system", PARALLEL, "side_by_side"),
    ("file-system", EMULATOR, "sequential"),
    ("chunked-fs", LOCAL, "mended_again"),
    *(("chunked-fs", MOCKED, pipeline) for pipeline in ("side_by_side", "recovery", "mended")),
]
"""Every kind of pipeline over every store."""
MODULES = {"failing_regions": "regions", "failing_job": "job", "mended_again": "mended"}
VARIABLES = {
    "sequential": {"TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    "failing_regions": {"REGIONS": "north,broken,south west"},
    "failing_job": {"JOB_FAILS": "1"},
}
RETRIES = ("mended", "mended_again")
"""The second one is told apart by the host's retry indicator."""
REMOTE = "https://somebody:hunter2@git.example/team/pipelines.git"
RESOURCE = {"deployment.environment.name": "test"}


def case_name(case: tuple[str, Mapping[str, Any], str]) -> str:
    """The name of a test: store, executor, pipeline."""
    store, executor, pipeline = case
    return f"{store}, {'parallel' if executor is PARALLEL else executor['type']}, {pipeline}"


def executions(project: Project, pipeline: str, run_id: str) -> list[Oracle]:
    """Run a pipeline, and retry it where that is its story; what must be told of each execution."""
    module = MODULES.get(pipeline, pipeline)
    project.run(module, run_id, **VARIABLES.get(pipeline, {}))
    logs = [project.log(run_id)]
    if pipeline in RETRIES and project.executor is not MOCKED:
        for content, indicator in (("in part", "again"), ("whole", "once more")):
            (project.folder / "mended").write_text(content, encoding="utf-8")
            if pipeline == "mended":
                project.retry(run_id)
            else:
                again = {"RUNNABLE_RETRY_RUN_ID": run_id, "RUNNABLE_RETRY_INDICATOR": indicator}
                project.run(module, run_id, **again)
            logs.append(project.log(run_id))
    return [Oracle(log, logs[at - 1] if at else None, at + 1, resource=RESOURCE) for at, log in enumerate(logs)]


def shown(jaeger: Jaeger, oracle: Oracle) -> tuple[Told, dict[str, Any]]:
    """A trace in Jaeger once it has as many spans as it must have, and the same as it came."""
    trace = jaeger.wait_for_trace(oracle.trace_id, spans=len(oracle.told().spans))
    return told_by_jaeger(trace), trace


@pytest.mark.parametrize("case", CASES, ids=map(case_name, CASES))
def test_a_run_is_in_jaeger_what_its_log_says(
    tmp_path: Path, jaeger: Jaeger, collector: Collector, case: tuple[str, Mapping[str, Any], str]
) -> None:
    """Each execution is one trace of the computed id with the spans of its log; sending it again changes nothing."""
    store, executor, pipeline = case
    project = Project(tmp_path, store, executor, {"endpoint": collector.otlp_http, "resource": RESOURCE})
    if executor is LOCAL:
        project.version(REMOTE)
    run_id = secrets.token_hex(4)
    oracles = executions(project, pipeline, run_id)
    assert project.unsent() == []  # also of those that the host breaks off
    before = {}
    for number, oracle in enumerate(oracles, 1):
        told, trace = shown(jaeger, oracle)
        assert oracle.trace_id == identity.trace_id("", run_id, number).hex()
        assert differences(told, oracle.told()) == []
        assert [span.name for span in told.spans.values() if not span.parent] == [f"RUN {told.service}"]
        assert {span.parent for span in told.spans.values()} - {""} <= set(told.spans)
        assert outside(told) == []
        assert [(span["operationName"], span["warnings"]) for span in trace["spans"] if span["warnings"]] == []
        assert not trace["warnings"]
        before[oracle.trace_id] = (told, len(trace["spans"]))
    assert project.unsent() == []
    project.export("--all", "--abandoned").succeeded()
    wait_for_all(jaeger, collector.otlp_http)
    for trace_id, was in before.items():
        again = jaeger.trace(trace_id)
        assert again is not None
        assert (told_by_jaeger(again), len(again["spans"])) == was


def wait_for_all(jaeger: Jaeger, otlp_http: str) -> None:
    """Wait until what was sent to an endpoint before is in Jaeger: until what goes there now is."""
    trace_id = secrets.token_hex(16)
    now = str(time.time_ns())
    span = {"traceId": trace_id, "spanId": secrets.token_hex(8), "name": "last", "startTimeUnixNano": now}
    spans = [{"spans": [span | {"endTimeUnixNano": now}]}]
    document = {"resourceSpans": [{"resource": {}, "scopeSpans": spans}]}
    request(f"{otlp_http}/v1/traces", json.dumps(document).encode())
    jaeger.wait_for_trace(trace_id, spans=1)


@pytest.mark.parametrize(
    "telemetry",
    [
        {"protocol": "http/json"},
        {"protocol": "http/json", "compression": "gzip"},
        {"compression": "gzip"},
        {"protocol": "grpc"},
    ],
    ids=["json", "json, gzip", "protobuf, gzip", "grpc"],
)
def test_every_protocol_tells_the_same(
    tmp_path: Path, jaeger: Jaeger, collector: Collector, telemetry: dict[str, str]
) -> None:
    """Whatever way the spans take to the Collector, the trace is what the log says."""
    endpoint = collector.otlp_grpc if telemetry.get("protocol") == "grpc" else collector.otlp_http
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": endpoint, **telemetry})
    run_id = secrets.token_hex(4)
    project.run("sequential", run_id).succeeded()
    oracle = Oracle(project.log(run_id))
    told, _ = shown(jaeger, oracle)
    assert differences(told, oracle.told()) == []
    assert project.unsent() == []


@pytest.mark.parametrize("executor", [LOCAL, PARALLEL], ids=["local", "parallel"])
def test_an_iteration_value_with_a_dot_leaves_no_orphan(
    tmp_path: Path, jaeger: Jaeger, collector: Collector, executor: dict[str, Any]
) -> None:
    """Where the host puts a branch out of its place, for its value has a dot, every span still has its parent."""
    project = Project(tmp_path, "chunked-fs", executor, {"endpoint": collector.otlp_http})
    run_id = secrets.token_hex(4)
    project.run("regions", run_id, REGIONS="1.5,x").succeeded()
    trace_id = identity.trace_id("", run_id, 1).hex()
    told = told_by_jaeger(jaeger.wait_for_trace(trace_id, spans=11))
    assert {span.parent for span in told.spans.values()} - {""} <= set(told.spans)
    assert outside(told) == []
    assert sorted(
        span.tags["runlog.branch.name"][1] for span in told.spans.values() if "runlog.branch.name" in span.tags
    ) == ["1.5", "x"]


def test_jaeger_finds_the_runs_whose_length_a_step_set(tmp_path: Path, jaeger: Jaeger, collector: Collector) -> None:
    """By a tag that only the steps of the critical path have."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": collector.otlp_http})
    run_id = secrets.token_hex(4)
    project.run("sequential", run_id).succeeded()
    oracle = Oracle(project.log(run_id))
    told, _ = shown(jaeger, oracle)
    marked = [span.name for span in told.spans.values() if "runlog.step.is_critical" in span.tags]
    found = [
        [
            trace["traceID"]
            for trace in jaeger.traces(told.service, tags=json.dumps(tags | {"runlog.step.is_critical": "true"}))
        ]
        for tags in ({"cicd.pipeline.run.id": run_id}, {"cicd.pipeline.run.id": "another"})
    ]
    assert marked != []
    assert found == [[oracle.trace_id], []]
