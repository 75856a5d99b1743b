"""Logs and metrics go the way of spans: to the same endpoint, by the same protocol, over connections of their own."""

from collections.abc import Callable
from typing import Any, Literal

from google.protobuf.message import Message

from runlog_otel.errors import ConfigError
from runlog_otel.settings import Settings


def target_beside_spans(settings: Settings, signal: Literal["logs", "metrics"]) -> str:
    """Where another signal goes.

    Raises:
        ConfigError: the exporter, or the endpoint, takes spans only.
    """
    target = settings.target_of(signal)
    if "otlp" not in settings.exporters or not target:
        raise ConfigError(
            f"telemetry.{signal}", "needs the exporter otlp, and an endpoint for all signals (not …/v1/traces)"
        )
    return target


def send_beside_spans(
    settings: Settings,
    signal: Literal["logs", "metrics"],
    request: Message,
    response: Message,
    *,
    stub: Callable[[], Any],
    timeout_seconds: float,
) -> None:
    """Send one request of another signal: they are few, and seldom.

    Args:
        settings: where spans go.
        signal: which one.
        request: it.
        response: an empty response of the signal.
        stub: imports the class of its gRPC service.
        timeout_seconds: for the whole exchange.

    Raises:
        ConfigError: the exporter, or the endpoint, takes spans only.
        DeliveryError: not all was acknowledged in time.
    """
    target = target_beside_spans(settings, signal)
    if settings.protocol == "grpc":
        from runlog_otel.exporters.otlp.grpc import OtlpGrpcSink

        OtlpGrpcSink(settings).call(stub(), request, timeout_seconds)
        return
    from runlog_otel.exporters.otlp.http import OtlpHttpSink

    sink = OtlpHttpSink(settings, target)
    try:
        sink.post(request, response, timeout_seconds)
    finally:
        sink.close()
