"""The reference of exports: the same documents and mapping, as spans of the SDK, sent by the stock exporter.

`python -m benchmarks.stock URL FOLDER` sends the logs of a folder, 512 spans a request.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span

BATCH = 512
RESOURCE = Resource({"service.name": "main.flow"})
_SCOPE = InstrumentationScope("runlog_otel", "1")


def sdk_span(span: Span) -> ReadableSpan:
    """A span as the SDK has it."""

    def context(span_id: bytes) -> SpanContext:
        ids = int.from_bytes(span.trace_id, "big"), int.from_bytes(span_id, "big")
        return SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(1))

    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=context(span.parent_span_id) if span.parent_span_id else None,
        resource=RESOURCE,
        attributes=dict(span.attributes),
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
        events=[Event(event.name, dict(event.attributes), event.time_ns) for event in span.events],
    )


def main(url: str, folder: str) -> None:
    """Send every log."""
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")

    def send(spans: Sequence[ReadableSpan]) -> None:
        if exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise SystemExit("not acknowledged")

    waiting: list[ReadableSpan] = []
    for path in sorted(Path(folder).iterdir()):
        for trace in spans_from_run(run_from_log(json.loads(path.read_text(encoding="utf-8")))):
            waiting += map(sdk_span, trace.spans)
            while len(waiting) >= BATCH:
                send(waiting[:BATCH])
                waiting = waiting[BATCH:]
    send(waiting)


if __name__ == "__main__":
    main(*sys.argv[1:])
