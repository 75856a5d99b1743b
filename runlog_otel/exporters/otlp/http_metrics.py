"""Metrics by the stock exporter of OTLP over HTTP, which sends them through our own exchange.

Its own transport repeats a request, follows no deadline for a whole answer, and takes a redirect and a partial success
for delivery.
"""

from typing import Any, cast

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter

from runlog_otel.exporters.otlp.http import OtlpHttpSink
from runlog_otel.settings import Settings

_OK = 200


def metric_exporter(settings: Settings, target: str, timeout_seconds: float) -> OTLPMetricExporter:
    """The exporter for one export."""
    session = Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, _OurExchange(settings, target, timeout_seconds))
    return OTLPMetricExporter(
        endpoint=target, timeout=timeout_seconds, compression=Compression.NoCompression, session=session
    )


class _OurExchange(BaseAdapter):
    """Posts what the exporter encoded with the headers, certificates, compression and deadline of our settings."""

    def __init__(self, settings: Settings, target: str, timeout_seconds: float) -> None:
        super().__init__()
        self._sink = OtlpHttpSink(settings, target)
        self._timeout_seconds = timeout_seconds

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """Post once. The exporter repeats a request only after an error of requests: a `DeliveryError` is none."""
        body = ExportMetricsServiceRequest.FromString(cast("bytes", request.body))
        self._sink.post(body, ExportMetricsServiceResponse, self._timeout_seconds)
        response = Response()
        response.status_code = _OK
        return response

    def close(self) -> None:
        """Close the connection."""
        self._sink.close()
