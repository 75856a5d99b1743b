"""Exceptions as log records, for those who opted in (`OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`).

Source: the semantic conventions, "Exceptions in logs". What a record says is what the event of the span would say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from typing_extensions import override

from runlog_otel.core.log_lines import ERROR, LogRecord
from runlog_otel.core.semconv import EXCEPTION_EVENT, EXCEPTION_MESSAGE
from runlog_otel.core.trace import Span
from runlog_otel.exporters.otlp.logs import OtlpLogSink
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.settings import Settings


class ExceptionsAsLogs(SpanSink):
    """Sends the exceptions of spans as log records, then the spans: only both together are acknowledged."""

    def __init__(self, sink: SpanSink, settings: Settings) -> None:
        self._sink = sink
        self._logs = OtlpLogSink(settings)
        self._keeps_events = settings.exceptions == "logs/dup"

    @override
    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        if records := [record for span in spans for record in records_of_exceptions(span)]:
            self._logs.send(resource, records, timeout_seconds)
        own = spans if self._keeps_events else [without_exceptions(span) for span in spans]
        self._sink.send(resource, own, timeout_seconds)

    @override
    def close(self) -> None:
        self._sink.close()
        self._logs.close()


def records_of_exceptions(span: Span) -> Iterator[LogRecord]:
    """A log record for each exception of a span, with the attributes of both."""
    exceptions = (event for event in span.events if event.name == EXCEPTION_EVENT)
    for index, event in enumerate(exceptions):
        body = str(event.attributes.get(EXCEPTION_MESSAGE, ""))
        attributes = {**span.attributes, **event.attributes}
        number = -index  # lines of the attempt's output have numbers from 1
        yield LogRecord(span.trace_id, span.span_id, event.time_ns, ERROR, body, attributes, number)


def without_exceptions(span: Span) -> Span:
    """The span without these events."""
    events = tuple(event for event in span.events if event.name != EXCEPTION_EVENT)
    return span if len(events) == len(span.events) else replace(span, events=events)
