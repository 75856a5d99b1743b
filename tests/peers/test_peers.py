"""The real backends come up and answer, and a missing one is told."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from runlog_otel.core import semconv
from runlog_otel.core.points import Point
from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.exporters.metrics.series import SeriesTable
from tests.peers.alertmanager import Webhook
from tests.peers.collector import Collector
from tests.peers.fixtures import REQUIRE, StartAlertmanager, StartPrometheus
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import HOST, request
from tests.peers.postgres import Postgres
from tests.peers.victorialogs import VictoriaLogs


def otlp_json(trace_id: str) -> dict[str, Any]:
    """Return one span as an OTLP/JSON document; its service has the name of the trace."""
    now_ns = time.time_ns()
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "hello",
        "kind": 1,
        "startTimeUnixNano": str(now_ns - 1_000_000),
        "endTimeUnixNano": str(now_ns),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": trace_id}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


def accepts_connections(url: str) -> bool:
    """Return whether something listens where the URL points to."""
    address = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((address.hostname, address.port)) == 0


def test_jaeger_knows_no_trace_of_an_unknown_id(jaeger: Jaeger) -> None:
    """Jaeger answers a query for a trace it does not have with none."""
    assert isinstance(jaeger.services(), list)
    assert jaeger.trace(secrets.token_hex(16)) is None
    assert jaeger.traces("no-such-service") == []


def test_a_span_goes_through_the_collector_into_jaeger(collector: Collector, jaeger: Jaeger) -> None:
    """A span posted to the Collector is found in Jaeger by its trace and by its service."""
    trace_id = secrets.token_hex(16)
    request(f"{collector.otlp_http}/v1/traces", json.dumps(otlp_json(trace_id)).encode())
    trace = jaeger.wait_for_trace(trace_id, spans=1)
    assert [span["operationName"] for span in trace["spans"]] == ["hello"]
    assert [found["traceID"] for found in jaeger.traces(trace_id, operation="hello")] == [trace_id]
    assert trace_id in jaeger.services()


def test_jaeger_takes_spans_itself(jaeger: Jaeger) -> None:
    """A span posted to Jaeger itself is found there, and a wait for more than that one ends with an error."""
    trace_id = secrets.token_hex(16)
    request(f"{jaeger.otlp_http}/v1/traces", json.dumps(otlp_json(trace_id)).encode())
    assert len(jaeger.wait_for_trace(trace_id, spans=1)["spans"]) == 1
    with pytest.raises(TimeoutError, match="has 1 of 2 spans"):
        jaeger.wait_for_trace(trace_id, spans=2, timeout=0.2)


@pytest.mark.parametrize(("count", "indent"), [(1, 2), (2, None)])
def test_jaeger_transforms_an_uploaded_document(jaeger: Jaeger, count: int, indent: int | None) -> None:
    """Jaeger shows the traces of an uploaded OTLP/JSON document, or of several, one per line."""
    trace_ids = [secrets.token_hex(16) for _ in range(count)]
    text = "\n".join(json.dumps(otlp_json(trace_id), indent=indent) for trace_id in trace_ids)
    assert [trace["traceID"] for trace in jaeger.transform(text)] == trace_ids


def test_victorialogs_takes_records_itself(victorialogs: VictoriaLogs) -> None:
    """A record posted to VictoriaLogs is found by its trace, and a wait for more than that one ends with an error."""
    trace_id = secrets.token_bytes(16)
    record = LogRecord(time_unix_nano=time.time_ns(), body=AnyValue(string_value="one\ntwo"), trace_id=trace_id)
    logs = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])
    request(f"{victorialogs.otlp_http}/v1/logs", logs.SerializeToString(), "application/x-protobuf")
    (row,) = victorialogs.wait_for(f"trace_id:={trace_id.hex()}")
    assert row["_msg"] == "one\ntwo"
    with pytest.raises(TimeoutError, match="has 1 of 2 records"):
        victorialogs.wait_for(f"trace_id:={trace_id.hex()}", records=2, timeout=0.2)


def test_postgres_stops_and_starts_on_its_port(postgres: Postgres) -> None:
    """PostgreSQL takes connections on its port, none while it is stopped, and has a database for each who asks."""
    assert accepts_connections(postgres.url)
    postgres.stop()
    assert not accepts_connections(postgres.url)
    postgres.start()
    assert accepts_connections(postgres.url)
    assert postgres.create_database() != postgres.create_database()


def test_prometheus_has_what_it_scrapes(start_prometheus: StartPrometheus) -> None:
    """Series and exemplars of a target are in the answers of Prometheus, and so is whether the target is up."""
    table = SeriesTable()
    trace_id, now = secrets.token_bytes(16), time.time()
    labels = ((semconv.PIPELINE_NAME, "train"), (semconv.ERROR_TYPE, "ValueError"))
    table.add([Point(semconv.RUN_ERRORS, labels, 2, int(now * 1e9), trace_id=trace_id, span_id=bytes(7) + b"1")])
    server = MetricsServer(table, f"{HOST}:0")
    scrape = {
        "job_name": "peers",
        "scrape_interval": "1s",
        "static_configs": [{"targets": [server.url.partition("//")[2]]}],
    }
    try:
        prometheus = start_prometheus({"scrape_configs": [scrape]})
        found = prometheus.wait_for("cicd_pipeline_run_errors_total")
        assert [row["value"][1] for row in found] == ["2"]
        by_error = "sum by (error_type) (cicd_pipeline_run_errors_total)"
        assert prometheus.values(by_error) == {(("error_type", "ValueError"),): 2.0}
        exemplars = prometheus.query_exemplars("cicd_pipeline_run_errors_total", now - 60, now + 60)
        assert [e["labels"]["trace_id"] for row in exemplars for e in row["exemplars"]] == [trace_id.hex()]
        assert [target["health"] for target in prometheus.targets()] == ["up"]
        assert prometheus.query_range("up", time.time() - 5, time.time(), 1)
        assert (prometheus.alerts(), prometheus.rules()) == ([], [])
        with pytest.raises(TimeoutError, match="absent_metric is empty"):
            prometheus.wait_for("absent_metric", timeout=0.2)
    finally:
        server.close()


def test_alertmanager_tells_a_webhook(start_alertmanager: StartAlertmanager, webhook: Webhook) -> None:
    """An alert that is posted to Alertmanager arrives at the webhook of its config, whole."""
    receiver = {"name": "hook", "webhook_configs": [{"url": webhook.url}]}
    alertmanager = start_alertmanager({"route": {"receiver": "hook", "group_wait": "0s"}, "receivers": [receiver]})
    alert = {"labels": {"alertname": "Hello", "step": "load"}, "annotations": {"summary": "hello"}}
    request(f"http://{alertmanager.address}/api/v2/alerts", json.dumps([alert]).encode())
    told = webhook.wait_for("Hello")
    assert {key: told[key] for key in alert} == alert
    assert [known["labels"] for known in alertmanager.alerts()] == [alert["labels"]]


def test_the_checkers_are_there(promtool: Path, amtool: Path) -> None:
    """Both tools that check configs run."""
    for tool in (promtool, amtool):
        subprocess.run([tool, "--version"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("required", "status", "told"),
    [
        ("0", 0, "missing peers, run `make peers`: jaeger (skipped tests: 1)"),
        ("1", 1, "peer jaeger is not installed, run `make peers`"),
    ],
)
def test_a_missing_peer_skips_or_fails(tmp_path: Path, required: str, status: int, told: str) -> None:
    """A test of a backend that is not installed is skipped and one line tells so, or fails when peers are required."""
    test = f"{__file__}::test_jaeger_takes_spans_itself"
    command = [sys.executable, "-m", "pytest", "-p", "tests.peers.fixtures", test]
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path), REQUIRE: required}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert told in done.stdout
