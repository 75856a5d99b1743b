"""Whoever opts in gets exceptions as log records, as the conventions say."""

import gzip
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.traces.exceptions import without_exceptions
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, Backend, backend, spans_of_every_kind

VARIABLE = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"


def sent(server: Backend, path: str, kind: Any) -> Any:
    """What came at a path, as one message."""
    message = kind()
    for at, headers, body in server.requests:
        if at == path:
            message.MergeFromString(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
    return message


@pytest.mark.parametrize(("opted", "records", "events"), [("", 0, 1), ("logs", 1, 0), ("logs/dup", 1, 1), ("x", 0, 1)])
def test_exceptions_go_where_they_are_asked_for(opted: str, records: int, events: int) -> None:
    """As events of spans, as log records, or as both; with the ids of the span, and its attributes."""
    failed = next(span for span in spans_of_every_kind() if any(event.name == "exception" for event in span.events))
    with backend() as server:
        sink = sink_from(Settings.load({"endpoint": server.url}, {VARIABLE: opted}))
        sink.send(RESOURCE, [failed], 5)
        sink.close()
        logs = sent(server, "/v1/logs", ExportLogsServiceRequest)
        traces = sent(server, "/v1/traces", ExportTraceServiceRequest)
    told = [record for of_run in logs.resource_logs for scope in of_run.scope_logs for record in scope.log_records]
    assert [(record.trace_id, record.span_id) for record in told] == [(failed.trace_id, failed.span_id)] * records
    for record in told:
        attributes = {pair.key: pair.value.string_value for pair in record.attributes}
        assert (attributes["exception.message"], record.body.string_value) == ("no", "no")
    (span,) = traces.resource_spans[0].scope_spans[0].spans
    assert len(span.events) == events


def test_spans_are_acknowledged_with_their_log_records_only() -> None:
    """A backend that refuses log records keeps the run unsent."""
    with backend() as server:
        sink = sink_from(Settings.load({"endpoint": server.url, "exceptions": "logs"}, {}))
        server.status = 400
        with pytest.raises(DeliveryError):
            sink.send(RESOURCE, spans_of_every_kind(), 5)
        assert [path for path, _, _ in server.requests] == ["/v1/logs"]
        sink.close()


def test_other_events_stay() -> None:
    """Catalog items are no exceptions."""
    spans = spans_of_every_kind()
    names = {event.name for span in map(without_exceptions, spans) for event in span.events}
    assert names == {"runlog.catalog.item"}
