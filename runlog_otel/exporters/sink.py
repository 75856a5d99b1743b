"""The port that spans leave by, and which sink the settings ask for."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from runlog_otel.errors import ConfigError
from runlog_otel.settings import Settings
from runlog_otel.trace import Span


class SpanSink(Protocol):
    """Somewhere to send spans. A sink may be used by one thread at a time, and by the process that made it."""

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """Send spans and return once all of them are acknowledged.

        Args:
            resource: attributes of whatever made the spans.
            spans: what to send; a batch is small enough for one request.
            timeout_seconds: for the whole call.

        Raises:
            DeliveryError: not every span was acknowledged in time.
        """

    def close(self) -> None:
        """Give back connections and files."""


class ManySinks:
    """Several sinks at once; spans count as sent when all of them acknowledged."""

    def __init__(self, sinks: Sequence[SpanSink]) -> None:
        self._sinks = sinks

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """Send to each in turn; see `SpanSink.send`."""
        for sink in self._sinks:
            sink.send(resource, spans, timeout_seconds)

    def close(self) -> None:
        """Close each."""
        for sink in self._sinks:
            sink.close()


def sink_from(settings: Settings) -> SpanSink:
    """The sink that `exporter`, `endpoint` and `protocol` ask for; libraries are imported only for it.

    Raises:
        ConfigError: an exporter of that name is not installed, a certificate cannot be read.
        MissingExtraError: grpc is asked for and not installed.
    """
    kinds = [kind.strip() for kind in settings.exporter.split(",") if kind.strip()]
    if not kinds:
        raise ConfigError("telemetry.exporter", "must name an exporter: otlp, console, none or an installed one")
    sinks = [_sink(kind, settings) for kind in kinds if kind != "none"]
    return sinks[0] if len(sinks) == 1 else ManySinks(sinks)


def _sink(kind: str, settings: Settings) -> SpanSink:
    if kind != "otlp":
        from runlog_otel.exporters.sdk import SdkExporterSink

        return SdkExporterSink(kind)
    if settings.target.startswith("file:"):
        from runlog_otel.exporters.otlp.file import OtlpFileSink

        return OtlpFileSink(settings)
    if settings.protocol == "grpc":
        from runlog_otel.exporters.otlp.grpc import OtlpGrpcSink

        return OtlpGrpcSink(settings)
    from runlog_otel.exporters.otlp.http import OtlpHttpSink

    return OtlpHttpSink(settings)
