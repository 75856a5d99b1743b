"""Spans and log records as OTLP messages: what the stock encoder would make of them, without the SDK."""

import base64
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from runlog_otel.core.model import Value
from runlog_otel.core.semconv import LOG_UID, SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION
from runlog_otel.core.trace import Attributes, Span, SpanRole
from runlog_otel.exporters.otlp.resources import spans_by_resource
from runlog_otel.exporters.otlp.wire import fixed64, int64

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import LogRecord

_LOCAL = trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _LOCAL | trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_SAMPLED = 1
_IDS = ("traceId", "spanId", "parentSpanId")


def request_from_spans(resource: Mapping[str, str], spans: Sequence[Span]) -> ExportTraceServiceRequest:
    """One OTLP export request (opentelemetry-proto, collector/trace/v1), with a `ResourceSpans` for each run."""
    return ExportTraceServiceRequest(
        resource_spans=[_resource_spans(own, of_run) for own, of_run in spans_by_resource(resource, spans)]
    )


def request_from_logs(resource: Mapping[str, str], records: Sequence["LogRecord"]) -> ExportLogsServiceRequest:
    """One OTLP export request (opentelemetry-proto, collector/logs/v1).

    Records leave out the attributes that the resource has: VictoriaLogs refuses a field of its streams on both.
    """
    scope = logs_pb2.ScopeLogs(
        scope=InstrumentationScope(name=SCOPE_NAME, version=SCOPE_VERSION),
        log_records=[_log_record(record, resource) for record in records],
        schema_url=SCHEMA_URL,
    )
    logs = logs_pb2.ResourceLogs(
        resource=Resource(attributes=attributes_of(resource)), scope_logs=[scope], schema_url=SCHEMA_URL
    )
    return ExportLogsServiceRequest(resource_logs=[logs])


def json_from_request(request: Message) -> str:
    """The request as OTLP/JSON in one line: ids in hexadecimal, enumerations as numbers (OTLP specification)."""
    document = MessageToDict(request, use_integers_for_enums=True)
    _hex_ids(document)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def double(value: float) -> float:
    """A number as the wire can have it: a whole one may be larger than any float."""
    try:
        return float(value)
    except OverflowError:
        return -sys.float_info.max if value < 0 else sys.float_info.max


def _hex_ids(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _hex_ids(item)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key in _IDS:
                value[key] = base64.b64decode(part).hex()
            else:
                _hex_ids(part)


def _resource_spans(resource: Attributes, spans: Iterable[Span]) -> trace_pb2.ResourceSpans:
    scope = trace_pb2.ScopeSpans(
        scope=InstrumentationScope(name=SCOPE_NAME, version=SCOPE_VERSION),
        spans=map(_span, spans),
        schema_url=SCHEMA_URL,
    )
    return trace_pb2.ResourceSpans(
        resource=Resource(attributes=attributes_of(resource)), scope_spans=[scope], schema_url=SCHEMA_URL
    )


def _span(span: Span) -> trace_pb2.Span:
    is_error = span.error is not None
    return trace_pb2.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        trace_state=span.tracestate,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=trace_pb2.Span.SPAN_KIND_SERVER if span.role is SpanRole.RUN else trace_pb2.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=fixed64(span.start_ns),
        end_time_unix_nano=fixed64(span.end_ns),
        attributes=attributes_of(span.attributes),
        events=[
            trace_pb2.Span.Event(
                name=event.name, time_unix_nano=fixed64(event.time_ns), attributes=attributes_of(event.attributes)
            )
            for event in span.events
        ],
        links=[
            trace_pb2.Span.Link(
                trace_id=link.trace_id, span_id=link.span_id, attributes=attributes_of(link.attributes), flags=_REMOTE
            )
            for link in span.links
        ],
        status=trace_pb2.Status(
            code=trace_pb2.Status.STATUS_CODE_ERROR if is_error else trace_pb2.Status.STATUS_CODE_UNSET,
            message=span.error or "",
        ),
        flags=_REMOTE if span.has_remote_parent else _LOCAL,
    )


def _log_record(record: "LogRecord", resource: Mapping[str, str]) -> logs_pb2.LogRecord:
    own = {key: value for key, value in record.attributes.items() if key not in resource}
    return logs_pb2.LogRecord(
        time_unix_nano=fixed64(record.time_ns),
        observed_time_unix_nano=fixed64(record.time_ns),
        severity_number=cast("logs_pb2.SeverityNumber.ValueType", record.severity.number),
        severity_text=record.severity.text,
        body=AnyValue(string_value=record.body),
        attributes=attributes_of(own | {LOG_UID: record.uid}),
        trace_id=record.trace_id,
        span_id=record.span_id,
        flags=_SAMPLED,
    )


def attributes_of(attributes: Attributes) -> list[KeyValue]:
    """Attributes as OTLP has them."""
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int():
            return AnyValue(int_value=int64(value))
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
