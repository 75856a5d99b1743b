"""The logs of attempts go where the spans go; a backend that does not accept them still gets everything else."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message

from runlog_otel.core.log_lines import ERROR, UNKNOWN, AttemptLog, LogRecord, Output
from runlog_otel.core.model import Attempt, ExecutionLog, Status
from runlog_otel.core.redaction import MASK
from runlog_otel.core.trace import Execution, SpanRole
from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.otlp.encode import request_from_logs
from runlog_otel.exporters.otlp.logs import OtlpLogSink
from runlog_otel.exporters.otlp.wire import payload_from_logs
from runlog_otel.exporters.traces.delivery import Delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, Backend, backend, refusing, spans_of_every_kind
from tests.hosts.project import LOCAL, Project

EXECUTION = Execution("calm-otter", "train")
START = 1_700_000_000_000_000_000


def log_of(text: str) -> AttemptLog:
    """The log of an attempt that wrote this."""
    attempt = Attempt(1, Status.FAIL, start_ns=START, end_ns=START + 10**9, log=ExecutionLog("x.execution.log", 80))
    return AttemptLog(EXECUTION, "load", attempt, Output(text))


def record() -> LogRecord:
    (made,) = log_of("ERROR password=hunter2 \ufffd\n").records()
    return made


def send(settings: Settings, *records: LogRecord, resource: Mapping[str, str] = RESOURCE) -> None:
    """Send records over a connection of their own."""
    with closing(OtlpLogSink(settings)) as sink:
        sink.send(resource, records, 5)


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


EXPECTED: dict[str, Any] = {
    "trace": EXECUTION.trace_id,
    "span": EXECUTION.span_id(SpanRole.ATTEMPT, "load", 1),
    "flags": 1,
    "time": START,
    "severity": (17, "ERROR"),
    "body": f"ERROR password={MASK} \ufffd",
    "attributes": {
        "cicd.pipeline.name": "train",
        "cicd.pipeline.run.id": "calm-otter",
        "runlog.execution": 1,
        "runlog.step.path": "load",
        "log.record.uid": f"{EXECUTION.span_id(SpanRole.ATTEMPT, 'load', 1).hex()}-1",
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
        send(Settings.load({"endpoint": server.url}, {}), record())
        assert records_of(server) == [EXPECTED]


@pytest.mark.parametrize(("time_ns", "encoded"), [(-5, 0), (2**64, 2**64 - 1)])
def test_a_time_beyond_the_wire_s_is_clamped(time_ns: int, encoded: int) -> None:
    """Before 1970, and after 2554."""
    request = request_from_logs(RESOURCE, records := [replace(record(), time_ns=time_ns)])
    assert payload_from_logs(RESOURCE, records) == request.SerializeToString()
    (made,) = request.resource_logs[0].scope_logs[0].log_records
    assert (made.time_unix_nano, made.observed_time_unix_nano) == (encoded, encoded)


@given(
    st.dictionaries(st.sampled_from([*EXPECTED["attributes"], "service.name"]), st.text(), max_size=3),
    st.lists(
        st.builds(
            LogRecord,
            trace_id=st.binary(max_size=16),
            span_id=st.binary(max_size=8),
            time_ns=st.integers(-(2**70), 2**70),
            severity=st.sampled_from([UNKNOWN, ERROR]),
            body=st.text(),
            attributes=st.just(record().attributes),
            number=st.integers(1, 10**6),
        ),
        max_size=3,
    ),
)
def test_the_bytes_are_those_of_the_message(resource: dict[str, str], records: list[LogRecord]) -> None:
    """For every record; one leaves out what its resource has: VictoriaLogs crashes if both have it."""
    assert payload_from_logs(resource, records) == request_from_logs(resource, records).SerializeToString()


@pytest.mark.parametrize("status", [202, 204])
def test_any_success_is_delivery_of_logs(status: int) -> None:
    """As of spans; and so is a page of a web server none."""
    with backend() as server:
        settings = Settings.load({"endpoint": server.url}, {})
        server.status = status
        send(settings, record())
        server.status, server.body, server.headers = 200, b"<html>", {"Content-Type": "text/html"}
        with pytest.raises(DeliveryError, match="content type 'text/html'"):
            send(settings, record())
        server.body = b'{"partialSuccess": {"rejectedLogRecords": 1, "errorMessage": "no"}}'
        with pytest.raises(DeliveryError, match="1 log records were rejected: no"):
            send(settings, record())


def test_a_record_is_sent_as_json() -> None:
    """With ids in hexadecimal."""
    with backend() as server:
        settings = Settings.load({"endpoint": server.url, "protocol": "http/json"}, {})
        send(settings, record())
        ((path, _, body),) = server.requests
    (sent,) = json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert (path, sent["traceId"], sent["spanId"]) == ("/v1/logs", EXPECTED["trace"].hex(), EXPECTED["span"].hex())


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
    send(settings, record())
    server.stop(None)
    assert [told(message) for message in taken] == [EXPECTED]


@pytest.mark.parametrize(("status", "may_recover"), [(404, False), (503, True)])
def test_a_backend_that_takes_no_logs_still_takes_the_spans(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    may_recover: bool,
) -> None:
    """One warning. If it may accept logs later, it is asked again after a while, and the runs are remembered."""

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
        for run_id in ("r1", "r2"):
            sending.offer(run_id, RESOURCE, spans_of_every_kind(), log_of("one"))
            sending.flush()
        now = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + 3600)
        sending.offer("r3", RESOURCE, spans_of_every_kind(), log_of("one"))
        sending.close()
    later = ["/v1/logs"] if may_recover else []
    assert asked == ["/v1/traces", "/v1/logs", "/v1/traces", "/v1/traces", *later]
    assert [r.message.partition(":")[0] for r in caplog.records] == ["logs are not sent"] * (1 + len(later))
    assert {unsent.run_id for unsent in Outbox(tmp_path)} == ({"r1", "r2", "r3"} if may_recover else set())


def test_a_long_log_is_sent_in_parts(tmp_path: Path) -> None:
    """Of a size that the backend accepts, each record once."""
    with backend() as server:
        server.act = refusing(100_000)
        sending = Delivery(Settings.load({"endpoint": server.url}, {}), Outbox(tmp_path))
        sending.offer("r", RESOURCE, spans_of_every_kind(), log_of("".join(f"line {n}\n" for n in range(3_000))))
        sending.close()
        assert [sent["body"] for sent in records_of(server)] == [f"line {n}" for n in range(3_000)]
    assert list(Outbox(tmp_path)) == []


def test_a_record_that_is_too_large_costs_the_next_one_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its run is remembered, and the next log is sent."""
    with backend() as server, caplog.at_level(logging.WARNING):
        server.act = refusing(10_000)
        sending = Delivery(Settings.load({"endpoint": server.url}, {}), Outbox(tmp_path))
        for run_id, body in (("r1", "x" * 20_000), ("r2", "short")):
            sending.offer(run_id, RESOURCE, spans_of_every_kind(), log_of(body))
            sending.flush()
        sending.close()
        assert [sent["body"] for sent in records_of(server)] == ["short"]
    assert [unsent.run_id for unsent in Outbox(tmp_path)] == ["r1"]
    assert [r.message for r in caplog.records] == [f"logs are not sent: export to {server.url} failed: HTTP 413"]


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
