"""Any span exporter of the OpenTelemetry SDK that is installed, found by its entry point and fed with SDK spans."""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from typing_extensions import override

from runlog_otel.core.redaction import redacted
from runlog_otel.core.semconv import SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION
from runlog_otel.core.trace import Attributes, Span, SpanRole
from runlog_otel.errors import ConfigError, DeliveryError
from runlog_otel.exporters.otlp.resources import spans_by_resource
from runlog_otel.exporters.otlp.wire import fixed64, int64
from runlog_otel.exporters.span_sink import SpanSink

_GROUP = "opentelemetry_traces_exporter"


class SdkExporterSink(SpanSink):
    """Wraps an SDK span exporter; its result counts as acknowledgement, and its timeouts are its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        entry_point = next(iter(entry_points(group=_GROUP, name=name)), None)
        if entry_point is None:
            installed = sorted({"otlp", "none", *entry_points(group=_GROUP).names})
            raise ConfigError(
                "telemetry.exporter", f"no exporter {name!r} is installed; known are {', '.join(installed)}"
            )
        try:
            self._exporter: SpanExporter = entry_point.load()()
        except Exception as error:
            problem = f"{name!r} cannot be made: {type(error).__name__}: {redacted(str(error))}"
            raise ConfigError("telemetry.exporter", problem) from error

    @override
    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        where = f"exporter {self._name}"
        try:
            result = self._exporter.export(sdk_spans(resource, spans))
        except Exception as error:
            raise DeliveryError(where, f"{type(error).__name__}: {redacted(str(error))}") from error
        if result is not SpanExportResult.SUCCESS:
            raise DeliveryError(where, "it reports a failure")

    @override
    def close(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


def sdk_spans(resource: Mapping[str, str], spans: Sequence[Span]) -> list[ReadableSpan]:
    """The spans as the SDK's exporters want them."""
    scope = InstrumentationScope(SCOPE_NAME, SCOPE_VERSION, SCHEMA_URL)
    resources = ((Resource(own, SCHEMA_URL), of_run) for own, of_run in spans_by_resource(resource, spans))
    return [_sdk_span(span, own, scope) for own, of_run in resources for span in of_run]


def _sdk_span(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    state = TraceState.from_header([span.tracestate]) if span.tracestate else None

    def context(
        trace_id: bytes, span_id: bytes, *, is_remote: bool = False, trace_state: TraceState | None = None
    ) -> SpanContext:
        flags = TraceFlags(TraceFlags.SAMPLED)
        ids = int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big")
        return SpanContext(*ids, is_remote, flags, trace_state)

    parent = span.parent_span_id

    return ReadableSpan(
        name=span.name,
        context=context(span.trace_id, span.span_id, trace_state=state),
        parent=context(span.trace_id, parent, is_remote=span.has_remote_parent) if parent else None,
        resource=resource,
        attributes=_attributes(span.attributes),
        events=[Event(event.name, _attributes(event.attributes), fixed64(event.time_ns)) for event in span.events],
        links=[
            Link(context(link.trace_id, link.span_id, is_remote=True), _attributes(link.attributes))
            for link in span.links
        ],
        kind=SpanKind.SERVER if span.role is SpanRole.RUN else SpanKind.INTERNAL,
        instrumentation_scope=scope,
        status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
        start_time=fixed64(span.start_ns),
        end_time=fixed64(span.end_ns),
    )


def _attributes(attributes: Attributes) -> dict[str, Any]:
    """Attributes within OTLP's range of numbers, which the SDK's exporters do not check."""
    whole = {key: int64(value) for key, value in attributes.items() if type(value) is int}
    return {**attributes, **whole}
