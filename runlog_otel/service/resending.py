"""Sends what a backend has not acknowledged: the runs that the outbox remembers."""

import math
import time
from collections.abc import Sequence

from runlog_otel.core import semconv
from runlog_otel.core.points import Point, labels_of
from runlog_otel.core.trace import Span, Trace
from runlog_otel.errors import (
    ConfigError,
    DeliveryError,
    RunLogFormatError,
    RunlogOtelError,
    RunNotFoundError,
    TooLargeError,
)
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.exporters.otlp.transience import pause_after
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.exporters.traces.outbox import Outbox, Unsent
from runlog_otel.exporters.traces.resend import Refused, raise_if_refused, send_trace
from runlog_otel.exporters.traces.sink import require_sending, sink_from
from runlog_otel.loggers import package_logger
from runlog_otel.mapping import sends, traces_from_run
from runlog_otel.sources.attempt_logs import LogReplay
from runlog_otel.sources.port import Source, one_line

logger = package_logger("runlog_otel.serve")

_PAUSE_SECONDS = 60.0
"""The pause after a failure if the backend asks for none."""
_AT_ONCE_SECONDS = 10.0
"""How long one pass takes; the rest is sent after the next poll: counting must not wait for a long backlog."""
_ASIDE_SECONDS = 600.0
"""The pause for a run that the backend refuses or that cannot be read: other runs are waiting."""
_MAX_REFUSED = 5
"""A backend that refuses more consecutive runs is treated as down."""
_KEPT_SPANS = 20_000
"""How many spans of runs that were just counted are kept in memory to be sent; other runs are read again."""


class Resender:
    """Sends the runs in a source's outbox whole, from their logs."""

    def __init__(self, source: Source, table: SeriesTable) -> None:
        self._source = source
        self._table = table
        self._outbox = Outbox(source.settings.outbox)
        self._sink: SpanSink | None = None
        self._logs = LogReplay(source) if source.settings.logs != "none" else None
        self._paused_until = 0.0
        self._has_said_so = False
        self._aside: dict[str, float] = {}
        """run id → when to try it again."""
        self._sent: dict[str, int] = {}
        """run id → how many spans of it were sent while it goes on."""
        self._traces: dict[str, Sequence[Trace]] = {}
        """run id → its traces, until the next `resend`."""
        self._kept_spans = 0

    def remember(self, run_id: str, reason: str, traces: Sequence[Trace] = (), *, is_abandoned: bool = False) -> None:
        """Put a run into the outbox; log a warning if that fails.

        Args:
            run_id: the run.
            reason: for the outbox.
            traces: the run as it was just mapped, if it was.
            is_abandoned: whether to close the run as abandoned.
        """
        self._aside.pop(run_id, None)  # there is more of it
        self._kept_spans += sum(len(trace.spans) for trace in traces)
        if traces and not is_abandoned and self._kept_spans <= _KEPT_SPANS:  # an abandoned run may yet go on
            self._traces[run_id] = traces
        try:
            self._outbox.add(run_id, reason, is_abandoned=is_abandoned)
        except OSError as error:
            logger.warning("%s will not be sent, as %s cannot be written: %s", run_id, self._outbox.folder, error)

    def unsent(self) -> int:
        """How many runs wait."""
        return sum(1 for _ in self._outbox)

    def resend(self) -> None:
        """Send what waits. A failed backend gets a pause; a run that it refuses does not delay the others.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """
        try:
            self._resend()
        finally:  # what waits longer may change
            self._traces.clear()
            self._kept_spans = 0

    def _resend(self) -> None:
        if time.monotonic() < self._paused_until:
            return
        if not self._source.settings.is_active:
            self._say_that_nothing_is_sent()
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
            except TooLargeError as error:  # it would be refused again, until the backend's config is changed
                self._set_aside(unsent, error, math.inf)
                self.close()  # the next sink knows nothing of the sizes that were refused
                refused = 0
            except DeliveryError as error:
                refused += 1
                if error.is_transient or refused > _MAX_REFUSED:
                    logger.warning("%s; %d runs wait", error, self.unsent())
                    self._paused_until = time.monotonic() + pause_after(error, _PAUSE_SECONDS)
                    return
                self._set_aside(unsent, error)
            except (RunlogOtelError, OSError) as error:
                self._set_aside(unsent, error)  # the source may fail at this run only
                raise
            except Exception as error:  # noqa: BLE001 - one odd run must not stop the others
                self._set_aside(unsent, error)

    def _say_that_nothing_is_sent(self) -> None:
        """Once, if something waits."""
        waiting = self.unsent()
        if waiting and not self._has_said_so:
            self._has_said_so = True
            try:
                require_sending(self._source.settings)
            except ConfigError as error:
                logger.warning("%s; %d runs wait", error, waiting)

    def close(self) -> None:
        """Close the connections."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None
        if self._logs is not None:
            self._logs.close()

    def _set_aside(self, unsent: Unsent, error: Exception, seconds: float = _ASIDE_SECONDS) -> None:
        if unsent.run_id not in self._aside:  # reported once, however often it is tried
            logger.warning("%s is not sent: %s", unsent.run_id, one_line(error))
        self._aside[unsent.run_id] = time.monotonic() + seconds

    def _send(self, unsent: Unsent) -> None:
        settings = self._source.settings
        is_abandoned = unsent.is_abandoned
        traces = () if is_abandoned else self._traces.pop(unsent.run_id, ())
        if not traces:
            traces = traces_from_run(self._source.run(unsent.run_id), settings, is_abandoned=is_abandoned)
        count = sum(len(trace.spans) for trace in traces)
        if self._sent.get(unsent.run_id) == count:  # it goes on, and nothing more of it is final
            return
        if self._sink is None:
            self._sink = sink_from(settings)
        refused: list[Refused[Span]] = []
        for trace in (trace for trace in traces if sends(trace, settings)):
            refused += (too_large := self._sent_trace(trace, self._sink))
            self._count(len(trace.spans) - len(too_large))
            self._count(len(too_large), "rejected")
        raise_if_refused(refused)
        if self._logs is not None:
            self._logs.send(self._source.run(unsent.run_id), [trace for trace in traces if sends(trace, settings)])
        if all(trace.is_complete for trace in traces):
            self._outbox.discard(unsent.run_id)
            self._aside.pop(unsent.run_id, None)
            self._sent.pop(unsent.run_id, None)
        else:
            self._sent[unsent.run_id] = count

    def _sent_trace(self, trace: Trace, sink: SpanSink) -> list[Refused[Span]]:
        try:
            return send_trace(trace, sink, self._source.settings)
        except Exception as error:
            self._count(len(trace.spans), type(error).__name__)
            raise

    def _count(self, spans: int, error_type: str = "") -> None:
        if spans:
            labels = labels_of(semconv.SPANS_EXPORTED, {semconv.ERROR_TYPE: error_type})
            self._table.add([Point(semconv.SPANS_EXPORTED, labels, spans)])
