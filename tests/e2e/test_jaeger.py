"""Real pipelines, sent through a real Collector, are in a real Jaeger what their run logs say."""

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core import identity
from tests.e2e.oracle import Oracle
from tests.e2e.told import Told, differences, outside, told_by_jaeger
from tests.hosts.project import EMULATOR, LOCAL, MOCKED, PARALLEL, Project, RunLog
from tests.peers.collector import Collector
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import request

PIPELINES = (
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
)
CONFIGURATIONS = {
    f"{store}, {name}": (store, executor)
    for store in ("file-system", "chunked-fs")
    for name, executor in {"local": LOCAL, "parallel": PARALLEL, "emulator": EMULATOR}.items()
} | {"chunked-fs, mocked": ("chunked-fs", MOCKED)}
RETRIES = ("mended", "mended_again")
"""The second one is told apart by the host's retry indicator."""
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REMOTE = "https://somebody:hunter2@git.example/team/pipelines.git"
RESOURCE = {"deployment.environment.name": "test"}


@dataclass
class Execution:
    """One execution, and what its run log was before and after it."""

    log: RunLog
    before: RunLog | None
    number: int

    @property
    def oracle(self) -> Oracle:
        """What must be told of it."""
        return Oracle(self.log, self.before, self.number, resource=RESOURCE)


@dataclass
class History:
    """A project in which every pipeline was run."""

    project: Project
    session: str
    executions: dict[str, list[Execution]] = field(default_factory=dict)
    unsent: set[str] = field(default_factory=set)

    def run_id(self, pipeline: str) -> str:
        """The run id of a pipeline: a run's trace id follows from it, and Jaeger has many configurations."""
        return f"{pipeline}-{self.session}"

    def record(self, pipeline: str) -> None:
        """Run a pipeline, and retry it where that is its story."""
        module = pipeline.replace("failing_regions", "regions").replace("failing_job", "job")
        module = module.replace("mended_again", "mended")
        variables = {"TRACEPARENT": CALLER} if pipeline == "sequential" else {}
        variables |= {"failing_regions": {"REGIONS": "north,broken,south west"}, "failing_job": {"JOB_FAILS": "1"}}.get(
            pipeline, {}
        )
        run_id = self.run_id(pipeline)
        self.project.run(module, run_id, **variables)
        logs = [self.project.log(run_id)]
        if pipeline in RETRIES and self.project.executor is not MOCKED:
            marker = self.project.folder / "mended"
            indicators = ("", "") if pipeline == "mended" else ("again", "once more")
            for content, indicator in zip(("in part", "whole"), indicators, strict=True):
                marker.write_text(content, encoding="utf-8")
                if pipeline == "mended":
                    self.project.retry(run_id)
                else:
                    again = {"RUNNABLE_RETRY_RUN_ID": run_id, "RUNNABLE_RETRY_INDICATOR": indicator}
                    self.project.run(module, run_id, **again)
                logs.append(self.project.log(run_id))
            marker.unlink()
        self.executions[pipeline] = [
            Execution(log, logs[at - 1] if at else None, at + 1) for at, log in enumerate(logs)
        ]


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> History:
    """A project of each kind in which every pipeline ran, with those runs sent afterwards that did not end."""
    store, executor = CONFIGURATIONS[request.param]
    telemetry = {"endpoint": collector.otlp_http, "resource": RESOURCE}
    project = Project(tmp_path_factory.mktemp("project"), store, executor, telemetry)
    if request.param == "file-system, local":
        project.version(REMOTE)
    history = History(project, secrets.token_hex(4))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(history.record, [name for name in PIPELINES if name not in RETRIES]))
    for pipeline in RETRIES:  # they share a file
        history.record(pipeline)
    history.unsent = {marker["run_id"] for marker in project.unsent()}
    if history.unsent:
        project.export("--unsent").succeeded()
    return history


def shown(jaeger: Jaeger, oracle: Oracle) -> tuple[Told, dict[str, Any]]:
    """A trace in Jaeger once it has as many spans as it must have, and the same as it came."""
    trace = jaeger.wait_for_trace(oracle.trace_id, spans=len(oracle.told().spans))
    return told_by_jaeger(trace), trace


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_run_is_in_jaeger_what_its_log_says(history: History, jaeger: Jaeger, pipeline: str) -> None:
    """Each execution is one trace with the spans, times, results, attributes, events and links of its log."""
    for execution in history.executions[pipeline]:
        oracle = execution.oracle
        actual, _ = shown(jaeger, oracle)
        assert differences(actual, oracle.told()) == []
        assert [span.name for span in actual.spans.values() if not span.parent] == [f"RUN {actual.service}"]
        assert {span.parent for span in actual.spans.values()} - {""} <= set(actual.spans)
        assert outside(actual) == []


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_trace_id_follows_from_the_run_id(history: History, pipeline: str) -> None:
    """The id that Jaeger has a trace by is the one that `identity` computes from run id and execution number."""
    for execution in history.executions[pipeline]:
        computed = identity.trace_id("", history.run_id(pipeline), execution.number).hex()
        assert execution.oracle.trace_id == computed


def test_jaeger_warns_of_nothing(history: History, jaeger: Jaeger) -> None:
    """No trace and no span has a warning."""
    warnings = []
    for executions in history.executions.values():
        for execution in executions:
            _, trace = shown(jaeger, execution.oracle)
            warnings += [(span["operationName"], span["warnings"]) for span in trace["spans"] if span["warnings"]]
            warnings += [trace["warnings"]] if trace["warnings"] else []
    assert warnings == []


def test_only_what_did_not_end_is_unsent(history: History) -> None:
    """The outbox remembers those runs that the host broke off, and no others."""
    broken_off = {
        history.run_id(pipeline)
        for pipeline, executions in history.executions.items()
        if executions[-1].log["status"] == "PROCESSING"
    }
    assert history.unsent == broken_off
    assert history.project.unsent() == []


def test_sending_again_changes_nothing(history: History, jaeger: Jaeger, collector: Collector) -> None:
    """`export --all` and `export RUN_ID` are acknowledged, and leave the same spans and as many."""
    before = {}
    for executions in history.executions.values():
        for execution in executions:
            told, trace = shown(jaeger, execution.oracle)
            before[execution.oracle.trace_id] = (told, len(trace["spans"]))
    history.project.export("--all", "--abandoned").succeeded()
    history.project.export(history.run_id("mended"), history.run_id("job")).succeeded()
    wait_for_all(jaeger, collector.otlp_http)
    for trace_id, (told, count) in before.items():
        again = jaeger.trace(trace_id)
        assert again is not None
        assert (told_by_jaeger(again), len(again["spans"])) == (told, count)


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
