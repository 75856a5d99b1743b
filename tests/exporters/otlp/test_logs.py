"""The log of a failed attempt goes where the spans go, and whoever does not take it loses nothing else."""

import json
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message

from runlog_otel.core.failure import LOG_BYTES
from runlog_otel.core.redaction import MASK, fingerprint_of
from runlog_otel.core.trace import AttemptContext, Execution
from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.otlp.log_record import LogRecord, record_from_log
from runlog_otel.exporters.otlp.logs import request_from_logs, send_log_records
from runlog_otel.exporters.traces.delivery import Delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from tests.e2e import oracle
from tests.exporters.spans import RESOURCE, Backend, backend, refusing, spans_of_every_kind
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project

ATTEMPT = AttemptContext("calm-otter", "load", b"t" * 16, b"s" * 8)


def record() -> LogRecord:
    execution = Execution("calm-otter", "train")
    return record_from_log(execution, ATTEMPT, "one\npassword=hunter2 \udcff\n", 1_700_000_000_000_000_000)


def test_what_a_record_says_of_its_attempt_is_redacted() -> None:
    """The path of a step holds the value of its iteration, a run id what its user likes."""
    current = AttemptContext("r-hunter2", "each.hunter2.load", b"t" * 16, b"s" * 8)
    execution = Execution("r-hunter2", "train", marks=(fingerprint_of("train", "r-hunter2"),))
    made = record_from_log(execution, current, "it is hunter2", 1, lambda text: text.replace("hunter2", MASK))
    assert (made.body, made.attributes["runlog.step.path"]) == (f"it is {MASK}", f"each.{MASK}.load")
    assert (made.attributes["cicd.pipeline.run.id"], made.attributes["cicd.pipeline.name"]) == (f"r-{MASK}", MASK)


def test_of_a_long_log_the_end_is_told() -> None:
    """As much as is promised, cut after its secrets were masked."""
    execution = Execution("r", "train")
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIE\n" * 1000 + "-----END PRIVATE KEY-----\n"
    made = record_from_log(execution, ATTEMPT, key + "x" * (LOG_BYTES - 2000), 1)
    assert "MIIE" not in made.body
    made = record_from_log(execution, ATTEMPT, "x" * LOG_BYTES * 2, 1)
    assert len(made.body.encode()) == LOG_BYTES


def told(message: Message) -> dict[str, Any]:
    """A log record as it came."""
    return {
        "trace": message.trace_id,
        "span": message.span_id,
        "flags": message.flags,
        "time": message.time_unix_nano,
        "severity": (message.severity_number, message.severity_text),
        "body": message.body.string_value,
        "attributes": {x.key: x.value.string_value or x.value.int_value for x in message.attributes},
    }


EXPECTED = {
    "trace": b"t" * 16,
    "span": b"s" * 8,
    "flags": 1,
    "time": 1_700_000_000_000_000_000,
    "severity": (17, "ERROR"),
    "body": f"one\npassword={MASK} ?",
    "attributes": {
        "cicd.pipeline.name": "train",
        "cicd.pipeline.run.id": "calm-otter",
        "runlog.execution": 1,
        "runlog.step.path": "load",
    },
}


def records_of(server: Backend) -> list[dict[str, Any]]:
    """The log records that came to a backend by protobuf."""
    requests = [
        logs_service_pb2.ExportLogsServiceRequest.FromString(body)
        for path, _, body in server.requests
        if path == "/v1/logs"
    ]
    return [
        told(r) for request in requests for rl in request.resource_logs for sl in rl.scope_logs for r in sl.log_records
    ]


def test_a_record_is_sent_by_http() -> None:
    """To /v1/logs, as protobuf."""
    with backend() as server:
        send_log_records(Settings.load({"endpoint": server.url}, {}), RESOURCE, [record()], 5)
        assert records_of(server) == [EXPECTED]


@pytest.mark.parametrize(("time_ns", "encoded"), [(-5, 0), (2**64, 2**64 - 1)])
def test_a_time_beyond_the_wire_s_is_clamped(time_ns: int, encoded: int) -> None:
    """Before 1970, and after 2554."""
    request = request_from_logs(RESOURCE, [replace(record(), time_ns=time_ns)])
    (made,) = request.resource_logs[0].scope_logs[0].log_records
    assert (made.time_unix_nano, made.observed_time_unix_nano) == (encoded, encoded)


@pytest.mark.parametrize("status", [202, 204])
def test_any_success_is_delivery_of_logs(status: int) -> None:
    """As of spans; and so is a page of a web server none."""
    with backend() as server:
        settings = Settings.load({"endpoint": server.url}, {})
        server.status = status
        send_log_records(settings, RESOURCE, [record()], 5)
        server.status, server.body, server.headers = 200, b"<html>", {"Content-Type": "text/html"}
        with pytest.raises(DeliveryError, match="content type 'text/html'"):
            send_log_records(settings, RESOURCE, [record()], 5)
        server.body = b'{"partialSuccess": {"rejectedLogRecords": 1, "errorMessage": "no"}}'
        with pytest.raises(DeliveryError, match="1 log records were rejected: no"):
            send_log_records(settings, RESOURCE, [record()], 5)


def test_a_record_is_sent_as_json() -> None:
    """With ids in hexadecimal."""
    with backend() as server:
        settings = Settings.load({"endpoint": server.url, "protocol": "http/json"}, {})
        send_log_records(settings, RESOURCE, [record()], 5)
        ((path, _, body),) = server.requests
    (sent,) = json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert (path, sent["traceId"], sent["spanId"]) == ("/v1/logs", (b"t" * 16).hex(), (b"s" * 8).hex())


def test_a_record_is_sent_by_grpc() -> None:
    """By LogsService."""
    taken: list[Message] = []

    class Service(logs_service_pb2_grpc.LogsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 the name is the service's
            taken.extend(r for rl in request.resource_logs for sl in rl.scope_logs for r in sl.log_records)
            return logs_service_pb2.ExportLogsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    settings = Settings.load({"endpoint": f"http://127.0.0.1:{port}", "protocol": "grpc"}, {})
    send_log_records(settings, RESOURCE, [record()], 5)
    server.stop(None)
    assert [told(message) for message in taken] == [EXPECTED]


@pytest.mark.parametrize(("status", "is_asked_again"), [(404, False), (503, True)])
def test_a_backend_that_takes_no_logs_still_takes_the_spans(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    is_asked_again: bool,
) -> None:
    """One warning; nothing is remembered as unsent; it is asked again, after a while, if it may take them then."""

    asked: list[str] = []

    def refuse_logs(handler: BaseHTTPRequestHandler) -> bool:
        asked.append(handler.path)
        if handler.path == "/v1/logs":
            handler.rfile.read(int(handler.headers["content-length"]))
            handler.send_error(status)
            return True
        return False

    with backend() as server, caplog.at_level(logging.WARNING):
        server.act = refuse_logs
        sending = Delivery(Settings.load({"endpoint": server.url}, {}), Outbox(tmp_path))
        for _ in range(2):
            sending.offer("r", RESOURCE, spans_of_every_kind(), record())
            sending.flush()
        now = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + 3600)
        sending.offer("r", RESOURCE, spans_of_every_kind(), record())
        sending.close()
    later = ["/v1/logs"] if is_asked_again else []
    assert asked == ["/v1/traces", "/v1/logs", "/v1/traces", "/v1/traces", *later]
    assert [r.message.partition(":")[0] for r in caplog.records] == ["logs are not sent"] * (1 + len(later))
    assert list(Outbox(tmp_path)) == []


def test_a_record_that_is_too_large_costs_the_next_one_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the next one is sent."""
    with backend() as server, caplog.at_level(logging.WARNING):
        server.act = refusing(10_000)
        sending = Delivery(Settings.load({"endpoint": server.url}, {}), Outbox(tmp_path))
        for body in ("x" * 20_000, "short"):
            sending.offer("r", RESOURCE, spans_of_every_kind(), replace(record(), body=body))
            sending.flush()
        sending.close()
        assert [sent["body"] for sent in records_of(server)] == ["short"]
    assert [r.message for r in caplog.records] == [f"logs are not sent: export to {server.url} failed: HTTP 413"]


@pytest.mark.parametrize("executor", [LOCAL, PARALLEL, EMULATOR], ids=["local", "parallel", "emulator"])
@pytest.mark.parametrize("pipeline", ["failing_python", "job"])
def test_the_execution_log_of_a_failed_attempt_is_sent(tmp_path: Path, pipeline: str, executor: dict[str, Any]) -> None:
    """Under its span, from whatever process; without the values of parameters; and of no attempt that succeeded."""
    with backend() as server:
        telemetry = {"endpoint": server.url, "logs": True, "exit_budget_seconds": 60.0}
        project = Project(tmp_path, "file-system", executor, telemetry)
        project.run(pipeline, "r", JOB_FAILS="1", RUNNABLE_PRM_rows="4711")
        (sent,) = records_of(server)
    step = {"failing_python": "explode", "job": "job"}[pipeline]
    own = (oracle.trace_id("r", 1), oracle.span_id("r", 1, "attempt", step, 1))
    assert (sent["trace"].hex(), sent["span"].hex(), sent["attributes"]["runlog.step.path"]) == (*own, step)
    assert "ValueError: " in sent["body"]
    assert "4711" not in sent["body"]


def test_logs_are_not_sent_unless_asked_for(tmp_path: Path) -> None:
    """Spans only."""
    with backend() as server:
        Project(tmp_path, "file-system", LOCAL, {"endpoint": server.url}).run("failing_python", "r")
        assert {path for path, _, _ in server.requests} == {"/v1/traces"}


def test_the_first_import_of_the_context_costs_no_sdk() -> None:
    """A step's process pays for OpenTelemetry's API only."""
    modules = "runlog_otel.live.attempt_context, runlog_otel.live.logs"
    code = f"import {modules}, sys; print([m for m in sys.modules if 'opentelemetry.sdk' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
