"""Sends the logs of attempts as records."""

from collections.abc import Callable

from runlog_otel.core.log_lines import AttemptLog
from runlog_otel.exporters.otlp.logs import OtlpLogSink
from runlog_otel.exporters.traces.resend import send_in_batches, send_with_retries
from runlog_otel.mapping import resource_attributes
from runlog_otel.settings import Settings

_BATCH_RECORDS = 1_000


class LogSender:
    """Sends over one connection, in one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sink: OtlpLogSink | None = None

    def send(self, log: AttemptLog, timeout_seconds: float) -> None:
        """Send the records of an attempt.

        Raises:
            ConfigError: the exporter, or the endpoint, takes spans only.
            TooLargeError: a record is too large, all others were acknowledged.
            DeliveryError: not all records were acknowledged in time.
        """
        self._send(log, timeout_seconds, lambda send: send())

    def send_with_retries(self, log: AttemptLog) -> int:
        """The same in a replay, where no pipeline waits; returns how many records there are."""
        return self._send(log, self._settings.timeout_seconds, send_with_retries)

    def close(self) -> None:
        """Close the connection; the next log opens a new one."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    def _send(self, log: AttemptLog, timeout_seconds: float, try_to: Callable[[Callable[[], None]], None]) -> int:
        if self._sink is None:
            self._sink = OtlpLogSink(self._settings)
        sink, records = self._sink, log.records()
        resource = resource_attributes(log.execution.resource_pipeline(), self._settings)
        refused = send_in_batches(
            records, lambda batch: try_to(lambda: sink.send(resource, batch, timeout_seconds)), _BATCH_RECORDS
        )
        if refused:
            raise refused[0].error
        return len(records)
