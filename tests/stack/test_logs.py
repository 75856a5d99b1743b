"""Logs through the shipped Collector files into VictoriaLogs, and what Grafana finds of them from a span."""

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import oracle
from tests.exporters.spans import backend
from tests.hosts.project import LOCAL, PARALLEL, Project
from tests.peers.collector import ShippedCollector
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import request
from tests.peers.process import running, wait_until
from tests.peers.victorialogs import VictoriaLogs, running_victorialogs
from tests.stack.alerting import load
from tests.stack.composed import LOKI, SINGLE, services
from tests.stack.shipped import COLLECTORS, CONFIGS, SECONDS
from tests.stack.test_gateways import running_tier


@pytest.fixture(scope="module")
def stored(
    victorialogs_program: Path, compose_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VictoriaLogs]:
    """A VictoriaLogs with the flags of docker-compose.yml."""
    command = services(compose_program, SINGLE)["victorialogs"]["command"]
    flags = [flag for flag in command if not flag.startswith("-storageDataPath")]
    with running_victorialogs(victorialogs_program, tmp_path_factory.mktemp("victorialogs"), flags) as server:
        yield server


@pytest.fixture(scope="module")
def single(
    otelcol: Path, tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger, stored: VictoriaLogs
) -> Iterator[ShippedCollector]:
    """A Collector of the shipped file."""
    backends = {"JAEGER_OTLP": jaeger.otlp_grpc, "LOGS_OTLP": stored.otlp_http}
    folder = tmp_path_factory.mktemp("single")
    collector = ShippedCollector(otelcol, folder, [COLLECTORS / "single.yaml"], **backends)
    with running(collector.server):
        yield collector


def grafanas_query(trace_id: str) -> str:
    """What Grafana asks for when somebody opens the logs of a span."""
    sources = load(CONFIGS / "grafana" / "provisioning" / "datasources" / "jaeger.yml")["datasources"]
    query = str(sources[0]["jsonData"]["tracesToLogsV2"]["query"])
    return query.replace("$${__trace.traceId}", trace_id)


def encoded(attributes: dict[str, str]) -> list[dict[str, Any]]:
    """Attributes as OTLP/JSON."""
    return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]


def send_lines(otlp_http: str, trace_id: str, *lines: str, **attributes: str) -> None:
    """Send lines as log records of one span, a millisecond apart, with attributes of each record."""
    now = time.time_ns()
    records = [
        {
            "timeUnixNano": str(now + number * 1_000_000),
            "severityNumber": 9,
            "severityText": "INFO",
            "body": {"stringValue": line},
            "attributes": encoded(attributes),
            "traceId": trace_id,
            "spanId": "00f067aa0ba902b7",
        }
        for number, line in enumerate(lines)
    ]
    resource = {"service.name": "stack", "cicd.pipeline.name": "train", "cicd.pipeline.run.id": trace_id}
    logs = {"resource": {"attributes": encoded(resource)}, "scopeLogs": [{"logRecords": records}]}
    request(f"{otlp_http}/v1/logs", json.dumps({"resourceLogs": [logs]}).encode())


def test_the_log_of_a_failed_attempt_is_found_from_its_span(
    single: ShippedCollector, stored: VictoriaLogs, tmp_path: Path
) -> None:
    """A real pipeline fails: its execution log is found by its trace and text, with severity, service and span."""
    run_id = secrets.token_hex(4)
    telemetry = {"endpoint": single.otlp_http, "logs": "all", "exit_budget_seconds": SECONDS}
    Project(tmp_path, "file-system", LOCAL, telemetry).run("failing_python", run_id, OTEL_SERVICE_NAME="stack")
    row, *_ = stored.wait_for(f'{grafanas_query(oracle.trace_id(run_id, 1))} "ValueError"')
    fields = {
        "_stream": '{cicd.pipeline.name="failing_python.main",service.name="stack"}',
        "severity_text": "ERROR",
        "severity_number": "17",
        "service.name": "stack",
        "span_id": oracle.span_id(run_id, 1, "attempt", "explode", 1),
        "cicd.pipeline.name": "failing_python.main",
        "cicd.pipeline.run.id": run_id,
        "runlog.step.path": "explode",
    }
    assert {name: row.get(name) for name in fields} == fields


def test_lines_that_are_sent_twice_are_recognised(
    single: ShippedCollector, stored: VictoriaLogs, tmp_path: Path
) -> None:
    """The output of a run is there in order, each line under its attempt; a replay adds lines with the same ids."""
    run_id = secrets.token_hex(4)
    telemetry = {"endpoint": single.otlp_http, "logs": "all", "exit_budget_seconds": SECONDS}
    here = Project(tmp_path, "chunked-fs", PARALLEL, telemetry)
    here.run("talking", run_id)
    of_run = grafanas_query(oracle.trace_id(run_id, 1))
    stored.wait_for(f"{of_run} ValueError")
    stored.wait_for(f"{of_run} cleaning", records=2)
    once = stored.query(of_run)
    said = [row["_msg"] for row in once if row["span_id"] == oracle.span_id(run_id, 1, "attempt", "load", 1)]
    assert (said[:2], said[2][-21:]) == (["loading", "half of it"], " ERROR no row is blue")
    here.export(run_id, "--logs").succeeded()
    assert len(stored.wait_for(of_run, records=2 * len(once))) == 2 * len(once)
    assert len({row["log.record.uid"] for row in once}) == len(once)
    documented = f"{of_run} | uniq by (log.record.uid, _time, _msg)"
    assert sorted(row["_msg"] for row in stored.query(documented)) == sorted(row["_msg"] for row in once)


def test_a_stream_is_a_pipeline_of_a_service(single: ShippedCollector, stored: VictoriaLogs) -> None:
    """Runs share the stream of their pipeline: what differs from run to run would make a stream of each."""
    runs = [secrets.token_hex(16) for _ in range(3)]
    for trace_id in runs:
        send_lines(single.otlp_http, trace_id, "hello")
    rows = stored.wait_for(f"trace_id:in({','.join(runs)})", records=3)
    assert {row["_stream"] for row in rows} == {'{cicd.pipeline.name="train",service.name="stack"}'}


def test_an_attribute_of_record_and_resource_is_told_once(single: ShippedCollector, stored: VictoriaLogs) -> None:
    """VictoriaLogs crashes if a record repeats a field of its stream; the Collector removes what the resource has."""
    trace_id = secrets.token_hex(16)
    repeated = {"cicd.pipeline.name": "train", "service.name": "stack", "cicd.pipeline.run.id": trace_id}
    send_lines(single.otlp_http, trace_id, "hello", **repeated)
    (row,) = stored.wait_for(grafanas_query(trace_id))
    assert {name: row[name] for name in repeated} == repeated
    assert row["_stream"] == '{cicd.pipeline.name="train",service.name="stack"}'


def test_secrets_of_other_peoples_logs_are_masked(single: ShippedCollector, stored: VictoriaLogs) -> None:
    """What looks like a credential, in a line or in an attribute, reaches no backend; the rest of it stays."""
    trace_id = secrets.token_hex(16)
    send_lines(single.otlp_http, trace_id, "GET / with Bearer abcdef0123456789", **{"db.password": "hunter2"})
    (row,) = stored.wait_for(grafanas_query(trace_id))
    assert (row["_msg"], row["db.password"]) == ("GET / with ****", "****")


def test_acknowledged_logs_outlive_an_outage_and_a_kill(single: ShippedCollector, stored: VictoriaLogs) -> None:
    """Records that were taken while VictoriaLogs was away are sent after the Collector was killed; it keeps them."""
    trace_id, lines = secrets.token_hex(16), [f"line {number}" for number in range(20)]
    stored.server.stop()
    send_lines(single.otlp_http, trace_id, *lines)
    single.server.kill()
    stored.server.start()
    single.server.start()
    stored.wait_for(grafanas_query(trace_id), records=len(lines))
    stored.server.stop()
    stored.server.start()
    assert [row["_msg"] for row in stored.wait_for(grafanas_query(trace_id), len(lines))] == lines


def test_logs_go_through_the_agent_and_a_gateway(
    otelcol: Path, tmp_path: Path, jaeger: Jaeger, stored: VictoriaLogs
) -> None:
    """The agent masks secrets, and the gateways deliver the lines of every trace, each once."""
    runs = {secrets.token_hex(16): ["one", "two", "three"] for _ in range(20)}
    with running_tier(
        otelcol, tmp_path, jaeger.otlp_grpc, ("gateway.yaml", "tail-sampling.yaml"), LOGS_OTLP=stored.otlp_http
    ) as tier:
        for trace_id, lines in runs.items():
            send_lines(tier.agent.otlp_http, trace_id, *lines, api_key="hunter2")
        for trace_id in runs:
            stored.wait_for(grafanas_query(trace_id), records=3)
        sent = tier.told("otelcol_exporter_sent_log_records", "otlp_http/logs")
    assert min(sent) > 0
    rows = {trace_id: stored.query(grafanas_query(trace_id)) for trace_id in runs}
    assert {trace_id: [row["_msg"] for row in found] for trace_id, found in rows.items()} == runs
    assert {row["api_key"] for found in rows.values() for row in found} == {"****"}


def test_loki_gets_logs_where_it_takes_them(otelcol: Path, compose_program: Path, tmp_path: Path) -> None:
    """With the variable of Loki's overlay, the Collector posts protobuf to the path of Loki's OTLP endpoint."""
    url = services(compose_program, LOKI)["collector"]["environment"]["LOGS_OTLP"]
    with backend() as loki:
        address = url.replace("http://loki:3100", loki.url)
        collector = ShippedCollector(otelcol, tmp_path, [COLLECTORS / "single.yaml"], LOGS_OTLP=address)
        with running(collector.server):
            send_lines(collector.otlp_http, secrets.token_hex(16), "hello")
            assert wait_until(lambda: bool(loki.requests))
    ((path, headers, _),) = loki.requests
    assert (path, headers["content-type"]) == ("/otlp/v1/logs", "application/x-protobuf")
