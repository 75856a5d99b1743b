"""Why spans have a sender of our own: what the stock span exporter still takes for delivery."""

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult

from runlog_otel.exporters.traces.sdk import sdk_spans
from tests.exporters.spans import RESOURCE, backend, spans_of_every_kind


@pytest.mark.parametrize("answer", ["redirect", "partial success"])
def test_the_stock_exporter_takes_it_for_delivery(answer: str) -> None:
    """When this fails, the stock exporter has learned it: read docs/architecture.md, and try it for spans."""
    with backend() as server:
        if answer == "redirect":
            server.status, server.headers = 308, {"location": "/elsewhere"}
        else:
            rejected = ExportTraceServiceResponse()
            rejected.partial_success.rejected_spans = 2
            server.body = rejected.SerializeToString()
        exporter = OTLPSpanExporter(endpoint=f"{server.url}/v1/traces", timeout=5)
        result = exporter.export(sdk_spans(RESOURCE, spans_of_every_kind()))
        exporter.shutdown()  # type: ignore[no-untyped-call]
        assert [path for path, _, _ in server.requests] == ["/v1/traces"]
    assert result is SpanExportResult.SUCCESS
