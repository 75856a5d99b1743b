"""Sends spans in the background, waits for them within a budget, and remembers the runs that were not acknowledged.

No thread, socket or lock exists before the first span is offered, and none crosses a fork.
"""

import atexit
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from runlog_otel.core.redaction import redacted
from runlog_otel.core.trace import Span
from runlog_otel.errors import DeliveryError, RunlogOtelError, TooLargeError
from runlog_otel.exporters.otlp.transience import pause_after
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.resend import BATCH_SPANS, Refused, reason_of, send_in_batches
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.loggers import package_logger
from runlog_otel.own_threads import own_thread
from runlog_otel.settings import Settings

if TYPE_CHECKING:  # few processes send these, which take 2 ms to import
    from runlog_otel.core.log_lines import AttemptLog
    from runlog_otel.core.points import ExecutionPoints
    from runlog_otel.exporters.traces.attempt_logs import LogSender

_PAUSE_SECONDS = 30.0
"""How long nothing is sent after a failure, unless the backend asks for another time."""
_BURST_SECONDS = 0.5
"""How long spans are collected for one request: 50 empty steps take 5 requests instead of 50, and 40 ms less CPU."""

ExtraSignal: TypeAlias = "AttemptLog | ExecutionPoints"
"""What is sent with spans: the log of an attempt, or the metrics of an execution."""


class QueuedSpans(NamedTuple):
    """Spans of a run, and what is sent with them, waiting for the thread."""

    run_id: str
    resource: Mapping[str, str]
    spans: Sequence[Span]
    also: "ExtraSignal | None" = None


class Delivery:
    """Delivers spans from this process to the backend."""

    def __init__(self, settings: Settings, outbox: Outbox) -> None:
        self._settings = settings
        self._outbox = outbox
        budget = settings.exit_budget_seconds
        self._request_seconds = min(settings.timeout_seconds, budget) if budget else settings.timeout_seconds
        self._has_failed = False
        self._paused_until = 0.0
        self._lock = threading.Lock()
        self._waiting: list[QueuedSpans] = []
        self._sending: list[QueuedSpans] = []
        self._thread: threading.Thread | None = None
        self._is_working = False
        self._is_flushing = threading.Event()
        self._sink: SpanSink | None = None
        self._log_sender: LogSender | None = None
        self._refused: dict[str, float] = {}
        """signal → until when it is not sent."""
        _DELIVERIES.add(self)

    def is_for(self, settings: Settings, outbox: Outbox) -> bool:
        """Whether it was made of equal settings, for the same outbox."""
        return (self._settings, self._outbox.folder) == (settings, outbox.folder)

    def offer(
        self, run_id: str, resource: Mapping[str, str], spans: Sequence[Span], also: "ExtraSignal | None" = None
    ) -> None:
        """Send spans of a run soon; returns at once. While the backend fails, the run is remembered instead.

        What is sent with them is tried once, after them. If it is a log that may be accepted later, the run is
        remembered.
        """
        if self._has_failed:
            self._remember(run_id, "the backend failed before")
            if time.monotonic() < self._paused_until:
                return
        with self._lock:
            self._waiting.append(QueuedSpans(run_id, resource, spans, also))
            if not self._is_working:
                self._is_working = True
                self._thread = threading.Thread(target=self._work, name="runlog-otel", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until what was offered is acknowledged, at most for the budget.

        A backend that failed is not waited for again: what it did not acknowledge is remembered already.
        """
        thread = self._thread
        if thread is None:
            return
        self._is_flushing.set()
        thread.join(0 if self._has_failed else self._settings.exit_budget_seconds)
        self._is_flushing.clear()
        if thread.is_alive() and not self._has_failed:
            with self._lock:
                self._give_up([*self._sending, *self._waiting], "no answer within the exit budget")

    def close(self) -> None:
        """Flush, and give connections back."""
        self.flush()
        if not self._is_working:
            self._close_sinks()

    def reset_after_fork(self) -> None:
        """Forget thread, connection and lock in the child of a fork: the parent sends what was offered before."""
        self._lock, self._is_flushing = threading.Lock(), threading.Event()
        self._waiting, self._sending = [], []
        self._thread, self._is_working, self._sink, self._log_sender = None, False, None, None

    def _work(self) -> None:
        """Send what is offered in a short time, then end: an idle process has no thread of ours.

        The first span, the start marker of a run, does not wait for others.
        """
        if self._sink is not None:
            self._is_flushing.wait(_BURST_SECONDS)
        with own_thread():
            while self._has_more():
                self._send(self._sending)

    def _has_more(self) -> bool:
        with self._lock:
            self._sending = _batch(self._waiting)
            del self._waiting[: len(self._sending)]
            self._is_working = bool(self._sending)
            return self._is_working

    def _send(self, parcels: Sequence[QueuedSpans]) -> None:
        spans = [span for parcel in parcels for span in parcel.spans]
        try:
            if self._sink is None:
                self._sink = sink_from(self._settings)
            if spans:
                self._note_refused(parcels, send_in_batches(spans, self._sender(self._sink, parcels[0].resource)))
                self._has_failed = False
        except RunlogOtelError as error:
            self._fail(parcels, error)
        except Exception as error:  # noqa: BLE001 a third-party sink must not end the thread
            self._fail(
                parcels, DeliveryError(f"exporter {self._settings.exporter}", f"{type(error).__name__}: {error}")
            )
        else:
            for parcel in parcels:
                if parcel.also:
                    self._send_also(parcel.run_id, parcel.also)

    def _sender(self, sink: SpanSink, resource: Mapping[str, str]) -> Callable[[Sequence[Span]], None]:
        return lambda batch: sink.send(resource, batch, self._request_seconds)

    def _note_refused(self, parcels: Sequence[QueuedSpans], refused: Sequence[Refused[Span]]) -> None:
        """Remember and log the runs whose spans are too large; the others are acknowledged."""
        for run_id in dict.fromkeys(parcel.run_id for parcel in parcels):
            own = {id(span) for parcel in parcels if parcel.run_id == run_id for span in parcel.spans}
            if of_run := [one for one in refused if id(one.span) in own]:
                reason = reason_of(of_run)
                self._remember(run_id, reason)
                _log().warning("run %s was not sent whole to %s: %s", run_id, of_run[0].error.endpoint, reason)

    def _send_also(self, run_id: str, also: ExtraSignal) -> None:
        """Send another signal to a backend that accepts spans; after a permanent error it is not sent again.

        After a transient error there is a pause, as with spans, and the runs whose logs are not sent are remembered.
        """
        from runlog_otel.core.log_lines import AttemptLog

        signal = "logs" if isinstance(also, AttemptLog) else "metrics"
        paused_until = self._refused.get(signal, 0.0)
        if time.monotonic() < paused_until:
            if signal == "logs" and paused_until < math.inf:
                self._remember(run_id, "its logs were refused before")
            return
        try:
            self._send_signal(also)
        except Exception as error:  # noqa: BLE001 as above
            may_be_accepted = isinstance(error, TooLargeError) or (
                isinstance(error, DeliveryError) and error.is_transient
            )
            if not isinstance(error, TooLargeError):  # another one may be smaller
                pause = pause_after(error, _PAUSE_SECONDS) if may_be_accepted else math.inf
                self._refused[signal] = time.monotonic() + pause
            if signal == "logs" and may_be_accepted:
                self._remember(run_id, f"logs: {error}")
            _log().warning("%s are not sent: %s", signal, redacted(str(error)))

    def _send_signal(self, also: ExtraSignal) -> None:
        from runlog_otel.core.log_lines import AttemptLog

        if isinstance(also, AttemptLog):
            if self._log_sender is None:
                from runlog_otel.exporters.traces.attempt_logs import LogSender

                self._log_sender = LogSender(self._settings)
            self._log_sender.send(also, self._request_seconds)
        else:
            from runlog_otel.exporters.otlp.metrics import push_delta

            push_delta(self._settings, also, self._request_seconds)

    def _close_sinks(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
        if self._log_sender is not None:
            self._log_sender.close()

    def _fail(self, parcels: Sequence[QueuedSpans], error: RunlogOtelError) -> None:
        self._close_sinks()
        with self._lock:
            self._give_up([*parcels, *self._waiting], str(error), pause_after(error, _PAUSE_SECONDS))

    def _give_up(self, parcels: Sequence[QueuedSpans], reason: str, pause: float = _PAUSE_SECONDS) -> None:
        """Remember the runs of these parcels; what is waiting is not tried. The lock is held."""
        is_first, self._has_failed = not self._has_failed, True
        self._paused_until = time.monotonic() + pause
        self._waiting.clear()
        for run_id in dict.fromkeys(parcel.run_id for parcel in parcels):
            self._remember(run_id, reason)
        if is_first:
            _log().warning("%s; the run log has it all: `runlog-otel export --unsent` sends it later", reason)

    def _remember(self, run_id: str, reason: str) -> None:
        try:
            self._outbox.add(run_id, reason)
        except OSError as error:
            _log().warning(
                "run %s is not sent, and that could not be noted in %s: %s", run_id, self._outbox.folder, error
            )


def _batch(waiting: Sequence[QueuedSpans]) -> list[QueuedSpans]:
    """The first parcels that may share a request: one resource, at most a batch of spans."""
    batch: list[QueuedSpans] = []
    size = 0
    for parcel in waiting:
        size += len(parcel.spans)
        if batch and (size > BATCH_SPANS or parcel.resource != batch[0].resource):
            break
        batch.append(parcel)
    return batch


def _log() -> logging.Logger:
    """The logger when it is needed: the host's logging set-up silences those that were made before it."""
    return package_logger()


def shared_delivery(settings: Settings, outbox: Outbox) -> Delivery:
    """The one delivery of this process for these settings.

    A host that runs tasks in a pool gives each task its own store: they share connections and the state of a failed
    backend, which the child of a fork also inherits.
    """
    delivery = next((shared for shared in _SHARED if shared.is_for(settings, outbox)), None)
    if delivery is None:
        delivery = Delivery(settings, outbox)
        _SHARED.append(delivery)
    return delivery


_SHARED: list[Delivery] = []
_DELIVERIES: weakref.WeakSet[Delivery] = weakref.WeakSet()


def _close_all() -> None:
    for delivery in list(_DELIVERIES):
        delivery.close()


def _reset_all_after_fork() -> None:
    for delivery in list(_DELIVERIES):
        delivery.reset_after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_all, after_in_child=_reset_all_after_fork)
