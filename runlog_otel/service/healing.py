"""Sends what a backend has not acknowledged: the runs that the outbox remembers."""

import logging
import time

from runlog_otel import names
from runlog_otel.errors import DeliveryError, RunLogFormatError, RunNotFoundError
from runlog_otel.exporters.outbox import Outbox, Unsent
from runlog_otel.exporters.sending import send_trace
from runlog_otel.exporters.series import SeriesTable
from runlog_otel.exporters.sink import SpanSink, sink_from
from runlog_otel.metrics import Point
from runlog_otel.sources import Source
from runlog_otel.spans import spans_from_run

logger = logging.getLogger("runlog_otel.serve")

_PAUSE_SECONDS = 60.0
"""How long a backend that failed is left alone."""


class Healer:
    """Sends the runs in a source's outbox whole, from their logs."""

    def __init__(self, source: Source, table: SeriesTable) -> None:
        self._source = source
        self._table = table
        self._outbox = Outbox(source.settings.outbox)
        self._sink: SpanSink | None = None
        self._paused_until = 0.0

    def remember(self, run_id: str, reason: str, *, is_abandoned: bool = False) -> None:
        """Put a run into the outbox; raises OSError."""
        self._outbox.add(run_id, reason, is_abandoned=is_abandoned)

    def unsent(self) -> int:
        """How many runs wait."""
        return sum(1 for _ in self._outbox)

    def heal(self) -> None:
        """Send what waits; the first failure of the backend ends it for a minute."""
        if not self._source.settings.is_active or time.monotonic() < self._paused_until:
            return
        try:
            for unsent in self._outbox:
                self._send(unsent)
        except DeliveryError as error:
            logger.warning("%s; %d runs wait", error, self.unsent())
            self._paused_until = time.monotonic() + _PAUSE_SECONDS

    def close(self) -> None:
        """Give connections back."""
        if self._sink is not None:
            self._sink.close()

    def _send(self, unsent: Unsent) -> None:
        settings = self._source.settings
        try:
            run = self._source.run(unsent.run_id)
        except (RunNotFoundError, RunLogFormatError) as error:
            logger.warning("%s is not sent: %s", unsent.run_id, error)
            return
        is_abandoned = unsent.is_abandoned
        traces = spans_from_run(run, settings.namespace, settings.ui, settings.disclosure, is_abandoned=is_abandoned)
        if self._sink is None:
            self._sink = sink_from(settings)
        for trace in filter(settings.sends, traces):
            send_trace(trace, self._sink, settings)
            self._table.add([Point(names.SPANS_ACKNOWLEDGED, (), len(trace.spans))])
        if all(trace.is_complete for trace in traces):
            self._outbox.discard(unsent.run_id)
