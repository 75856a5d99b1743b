"""Sends what a backend has not acknowledged: the runs that the outbox remembers."""

import time

from runlog_otel import names
from runlog_otel.errors import DeliveryError, RunLogFormatError, RunNotFoundError
from runlog_otel.exporters.outbox import Outbox, Unsent
from runlog_otel.exporters.sending import send_trace
from runlog_otel.exporters.series import SeriesTable
from runlog_otel.exporters.sink import SpanSink, sink_from
from runlog_otel.loggers import package_logger
from runlog_otel.metrics import Point
from runlog_otel.sources import Source
from runlog_otel.spans import spans_from_run

logger = package_logger("runlog_otel.serve")

_PAUSE_SECONDS = 60.0
"""How long a backend that failed is left alone."""
_AT_ONCE_SECONDS = 10.0
"""What waits longer is sent after the next look at the store: counting must not wait for a night's backlog."""
_ASIDE_SECONDS = 600.0
"""How long a run is left alone that the backend refuses, or that cannot be read: others wait behind it."""
_MAX_REFUSED = 5
"""A backend that refuses so many runs in a row refuses all."""


class Healer:
    """Sends the runs in a source's outbox whole, from their logs."""

    def __init__(self, source: Source, table: SeriesTable) -> None:
        self._source = source
        self._table = table
        self._outbox = Outbox(source.settings.outbox)
        self._sink: SpanSink | None = None
        self._paused_until = 0.0
        self._aside: dict[str, float] = {}
        """run id → when to try it again."""
        self._sent: dict[str, int] = {}
        """run id → how many spans of it were sent while it goes on."""

    def remember(self, run_id: str, reason: str, *, is_abandoned: bool = False) -> None:
        """Put a run into the outbox; where that cannot be written, it is told in the log."""
        try:
            self._outbox.add(run_id, reason, is_abandoned=is_abandoned)
        except OSError as error:
            logger.warning("%s will not be sent, as %s cannot be written: %s", run_id, self._outbox.folder, error)

    def unsent(self) -> int:
        """How many runs wait."""
        return sum(1 for _ in self._outbox)

    def heal(self) -> None:
        """Send what waits. A backend that fails is left alone for a minute; a run that it refuses holds up none.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """
        if not self._source.settings.is_active or time.monotonic() < self._paused_until:
            return
        refused, until = 0, time.monotonic() + _AT_ONCE_SECONDS
        for unsent in self._outbox:
            if time.monotonic() > until:
                return
            if time.monotonic() < self._aside.get(unsent.run_id, 0.0):
                continue
            try:
                self._send(unsent)
                refused = 0
            except (RunNotFoundError, RunLogFormatError) as error:
                self._set_aside(unsent, error)
            except DeliveryError as error:
                refused += 1
                if error.is_transient or refused > _MAX_REFUSED:
                    logger.warning("%s; %d runs wait", error, self.unsent())
                    self._paused_until = time.monotonic() + _PAUSE_SECONDS
                    return
                self._set_aside(unsent, error)

    def close(self) -> None:
        """Give connections back."""
        if self._sink is not None:
            self._sink.close()

    def _set_aside(self, unsent: Unsent, error: Exception) -> None:
        logger.warning("%s is not sent: %s", unsent.run_id, error)
        self._aside[unsent.run_id] = time.monotonic() + _ASIDE_SECONDS

    def _send(self, unsent: Unsent) -> None:
        settings = self._source.settings
        run = self._source.run(unsent.run_id)
        is_abandoned = unsent.is_abandoned
        traces = spans_from_run(run, settings.namespace, settings.ui, settings.disclosure, is_abandoned=is_abandoned)
        count = sum(len(trace.spans) for trace in traces)
        if self._sent.get(unsent.run_id) == count:  # it goes on, and nothing more of it is final
            return
        if self._sink is None:
            self._sink = sink_from(settings)
        for trace in filter(settings.sends, traces):
            send_trace(trace, self._sink, settings)
            self._table.add([Point(names.SPANS_ACKNOWLEDGED, (), len(trace.spans))])
        if all(trace.is_complete for trace in traces):
            self._outbox.discard(unsent.run_id)
            self._sent.pop(unsent.run_id, None)
        else:
            self._sent[unsent.run_id] = count
