"""The spans of the log as they were sent."""

from runlog_otel.core.semconv import SCOPE_NAME, SCOPE_VERSION
from runlog_otel.core.span_diff import StoredSpan
from runlog_otel.core.trace import Span, SpanRole
from runlog_otel.exporters.otlp.wire import fixed64, int64
from runlog_otel.settings import Settings


def as_sent(span: Span, settings: Settings) -> StoredSpan:
    """A span as the exporters write it: in the range of the wire, and without exceptions if these are log records."""
    if settings.exceptions == "logs":
        from runlog_otel.exporters.traces.exceptions import without_exceptions

        span = without_exceptions(span)
    return StoredSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind="server" if span.role is SpanRole.RUN else "internal",
        start_ns=fixed64(span.start_ns),
        end_ns=fixed64(span.end_ns),
        attributes={key: int64(value) if type(value) is int else value for key, value in span.attributes.items()},
        events=tuple(event._replace(time_ns=fixed64(event.time_ns)) for event in span.events),
        links=span.links,
        error=span.error,
        tracestate=span.tracestate,
        scope=(SCOPE_NAME, SCOPE_VERSION),
    )
