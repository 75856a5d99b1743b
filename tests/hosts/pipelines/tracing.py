"""The tracing of a user's own: real instrumentations, a provider of the program's, spans noted in a file at once."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

NOTED = Path(__file__).with_name("noted.jsonl")
VARIABLES = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "RUNNABLE_TRACEPARENT", "RUNNABLE_TRACESTATE", "RUNNABLE_BAGGAGE")


class NotingExporter(SpanExporter):
    """Appends a line for each span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Note spans."""
        with NOTED.open("a", encoding="utf-8", buffering=1) as file:
            for span in spans:
                own, parent = span.context, span.parent
                line = {
                    "name": span.name,
                    "trace": f"{own.trace_id:032x}",
                    "span": f"{own.span_id:016x}",
                    "parent": f"{parent.span_id:016x}" if parent else "",
                    "baggage": (span.attributes or {}).get("baggage", ""),
                }
                file.write(json.dumps(line) + "\n")
        return SpanExportResult.SUCCESS


class Baggage(SpanProcessor):
    """Copies baggage, as the processor of that name in opentelemetry-contrib does."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        """Add to a span."""
        span.set_attribute("baggage", str(baggage.get_baggage("cicd.pipeline.run.id", parent_context) or ""))


def set_up() -> None:
    """With the variable LOGFIRE by logfire, which the host makes spans with then, else by the SDK.

    It is the host that sets logfire up when the variable says so.
    """
    processors = [Baggage(), SimpleSpanProcessor(NotingExporter())]
    if os.environ.get("LOGFIRE") == "host":
        pass
    elif os.environ.get("LOGFIRE"):
        import logfire

        logfire.configure(
            send_to_logfire=False, console=False, distributed_tracing=True, additional_span_processors=processors
        )
    else:
        provider = TracerProvider()
        for processor in processors:
            provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)
    for instrumentor in (RequestsInstrumentor, SQLite3Instrumentor, ThreadingInstrumentor):
        instrumentor().instrument()


def state() -> dict[str, object]:
    """What must be the same before and after a run."""
    return {
        "provider": id(trace.get_tracer_provider()),
        "context": dict(context.get_current()),
        "environment": {name: os.environ.get(name) for name in VARIABLES},
    }
