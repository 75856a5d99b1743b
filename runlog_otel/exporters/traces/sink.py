"""The sink that the settings configure, and several sinks as one."""

from collections.abc import Mapping, Sequence

from runlog_otel.core.trace import Span
from runlog_otel.errors import ConfigError, TooLargeError
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.settings import Settings


class ManySinks:
    """Several sinks at once; spans count as sent when all of them acknowledged."""

    def __init__(self, sinks: Sequence[SpanSink]) -> None:
        self._sinks = sinks

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """Send to each in turn; see `SpanSink.send`. A span that is too large for one of them goes to the others."""
        errors = [_send_to(sink, resource, spans, timeout_seconds) for sink in self._sinks]
        if error := next(filter(None, errors), None):
            raise error

    def close(self) -> None:
        """Close each."""
        for sink in self._sinks:
            sink.close()


def _send_to(
    sink: SpanSink, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float
) -> TooLargeError | None:
    """Send to a sink; returns the error when one span alone is too large for it: others may still accept it."""
    try:
        sink.send(resource, spans, timeout_seconds)
    except TooLargeError as error:
        if len(spans) > 1:
            raise
        return error
    return None


def sink_from(settings: Settings) -> SpanSink:
    """The sink that `exporter`, `endpoint` and `protocol` ask for; libraries are imported only for it.

    Raises:
        ConfigError: nothing would be sent, an exporter of that name is not installed, a certificate cannot be read.
    """
    require_sending(settings)
    # OTLP limits sizes, so it comes first: other exporters get batches of the final size.
    kinds = sorted(settings.exporters, key=lambda kind: kind.lower() != "otlp")
    sinks = [_sink(kind, settings) for kind in kinds]
    sink = sinks[0] if len(sinks) == 1 else ManySinks(sinks)
    if settings.exceptions == "events":
        return sink
    from runlog_otel.exporters.traces.exceptions import ExceptionsAsLogs

    return ExceptionsAsLogs(sink, settings)


def require_sending(settings: Settings) -> None:
    """Raise ConfigError where nothing would be sent: what is not sent must not count as acknowledged."""
    if not settings.is_active:
        field, value = ("exporter", settings.exporter) if settings.enabled else ("enabled", "false")
        source = settings.source(field)
        raise ConfigError(
            f"telemetry.{field}", f"nothing would be sent: it is {value} (from: {source}); --endpoint URL sends anyway"
        )


def _sink(kind: str, settings: Settings) -> SpanSink:
    if kind.lower() != "otlp":
        from runlog_otel.exporters.traces.sdk import SdkExporterSink

        return SdkExporterSink(kind)
    if settings.target.startswith("file:"):
        from runlog_otel.exporters.otlp.file import OtlpFileSink

        return OtlpFileSink(settings)
    if settings.protocol == "grpc":
        from runlog_otel.exporters.otlp.grpc import OtlpGrpcSink

        return OtlpGrpcSink(settings)
    from runlog_otel.exporters.otlp.http import OtlpHttpSink

    return OtlpHttpSink(settings)
