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
from runlog_otel.settings import Settings

if TYPE_CHECKING:  # few processes send these, which take 2 ms to import
    from runlog_otel.core.points import ExecutionPoints
    from runlog_otel.exporters.otlp.log_record import LogRecord

_PAUSE_SECONDS = 30.0
"""How long nothing is sent after a failure, unless the backend asks for another time."""
_BURST_SECONDS = 0.5
"""How long spans are collected for one request: 50 empty steps take 5 requests instead of 50, and 40 ms less CPU."""

ExtraSignal: TypeAlias = "LogRecord | ExecutionPoints"
"""What is sent with spans: the log of a failed attempt, or the metrics of an execution."""


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

        What is sent with them is tried once, after them, and not remembered.
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
        if not self._is_working and self._sink is not None:
            self._sink.close()
            self._sink = None

    def reset_after_fork(self) -> None:
        """Forget thread, connection and lock in the child of a fork: the parent sends what was offered before."""
        self._lock, self._is_flushing = threading.Lock(), threading.Event()
        self._waiting, self._sending = [], []
        self._thread, self._is_working, self._sink = None, False, None

    def _work(self) -> None:
        """Send what is offered in a short time, then end: an idle process has no thread of ours.

        The first span, the start marker of a run, does not wait for others.
        """
        if self._sink is not None:
            self._is_flushing.wait(_BURST_SECONDS)
        while True:
            with self._lock:
                self._sending = _batch(self._waiting)
                del self._waiting[: len(self._sending)]
                if not self._sending:
                    self._is_working = False
                    return
            self._send(self._sending)

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
                    self._send_also(parcel.also, parcel.resource)

    def _sender(self, sink: SpanSink, resource: Mapping[str, str]) -> Callable[[Sequence[Span]], None]:
        return lambda batch: sink.send(resource, batch, self._request_seconds)

    def _note_refused(self, parcels: Sequence[QueuedSpans], refused: Sequence[Refused]) -> None:
        """Remember and log the runs whose spans are too large; the others are acknowledged."""
        for run_id in dict.fromkeys(parcel.run_id for parcel in parcels):
            own = {id(span) for parcel in parcels if parcel.run_id == run_id for span in parcel.spans}
            if of_run := [one for one in refused if id(one.span) in own]:
                reason = reason_of(of_run)
                self._remember(run_id, reason)
                _log().warning("run %s was not sent whole to %s: %s", run_id, of_run[0].error.endpoint, reason)

    def _send_also(self, also: ExtraSignal, resource: Mapping[str, str]) -> None:
        """Send another signal to a backend that accepts spans; after a permanent error it is not sent again.

        After a transient error there is a pause, as with spans.
        """
        from runlog_otel.exporters.otlp.log_record import LogRecord

        signal = "logs" if isinstance(also, LogRecord) else "metrics"
        if time.monotonic() < self._refused.get(signal, 0.0):
            return
        try:
            _send_signal(also, resource, self._settings, self._request_seconds)
        except Exception as error:  # noqa: BLE001 as above
            if not isinstance(error, TooLargeError):  # another one may be smaller
                is_transient = isinstance(error, DeliveryError) and error.is_transient
                pause = pause_after(error, _PAUSE_SECONDS) if is_transient else math.inf
                self._refused[signal] = time.monotonic() + pause
            _log().warning("%s are not sent: %s", signal, redacted(str(error)))

    def _fail(self, parcels: Sequence[QueuedSpans], error: RunlogOtelError) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
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


def _send_signal(also: ExtraSignal, resource: Mapping[str, str], settings: Settings, timeout_seconds: float) -> None:
    from runlog_otel.exporters.otlp.log_record import LogRecord

    if isinstance(also, LogRecord):
        from runlog_otel.exporters.otlp.logs import send_log_records

        send_log_records(settings, resource, [also], timeout_seconds)
    else:
        from runlog_otel.exporters.otlp.metrics import push_delta

        push_delta(settings, also, timeout_seconds)


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
