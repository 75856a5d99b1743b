"""Sends the spans of many runs: runs of one resource share requests, and several requests are in flight."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from queue import Queue

from runlog_otel.core.trace import Span, Trace
from runlog_otel.errors import DeliveryError, TooLargeError
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.exporters.traces.resend import (
    BATCH_SPANS,
    Refused,
    raise_if_refused,
    send_in_batches,
    send_with_retries,
)
from runlog_otel.exporters.traces.sink import sink_from
from runlog_otel.mapping import resource_attributes
from runlog_otel.settings import Settings

MAX_FAILURES = 3
"""After this many consecutive failed requests the backend is considered down."""
_MAX_IN_FLIGHT = 4
"""How many requests are in flight, each on a connection of its own, and how many more wait for one."""
_MAX_GATHERED_SPANS = 16 * BATCH_SPANS
"""How many spans wait for others of their resource to share a request with."""


@dataclass(slots=True)
class Shipment:
    """The spans of one run on their way."""

    waiting: int = 1
    """How many of its parts are not answered; one until they are counted."""
    is_begun: bool = False
    """Whether any of it may have reached the backend."""
    error: Exception | None = None
    """Why any of it was not acknowledged."""
    dropped: Exception | None = None
    """Why any of it was not sent."""
    refused: list[Refused[Span]] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        """Whether it is known what became of each part."""
        return self.waiting == 0

    @property
    def is_tried(self) -> bool:
        """Whether it was sent, at least in part."""
        return self.is_begun or self.dropped is None

    def raise_if_failed(self) -> None:
        """Raise what kept it from being acknowledged.

        Raises:
            TooLargeError: some spans are too large, all others were acknowledged.
            DeliveryError: not all spans were acknowledged.
        """
        if error := self.error or self.dropped:
            raise error
        raise_if_refused(self.refused)


@dataclass(frozen=True, slots=True)
class _Part:
    """Spans of a shipment that are in one request."""

    shipment: Shipment
    spans: Sequence[Span]


@dataclass(slots=True)
class _Batch:
    """What will be one request."""

    resource: Mapping[str, str]
    parts: list[_Part] = field(default_factory=list)
    spans: int = 0


class Replay:
    """Sends runs in any order. One thread adds them, some threads send.

    Memory is bounded: `add` waits while enough batches wait.
    """

    def __init__(self, settings: Settings) -> None:
        """Begin; raises as `sink_from`."""
        self._settings = settings
        self._sinks = [sink_from(settings)]
        # Other exporters may write to one place, and a file answers at once.
        is_remote = settings.exporters == ("otlp",) and not settings.target.startswith("file:")
        self._max_in_flight = _MAX_IN_FLIGHT if is_remote else 1
        self._resource = lru_cache(lambda pipeline: resource_attributes(pipeline, settings))
        self._gathered: dict[str, _Batch] = {}
        self._queue: Queue[_Batch | None] = Queue(_MAX_IN_FLIGHT)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._stop_reason: Exception | None = None
        self._failures = 0
        self._gathered_spans = 0

    @property
    def is_stopped(self) -> bool:
        """Whether the backend is considered down: nothing more is sent."""
        return self._stopped.is_set()

    def add(self, shipment: Shipment, traces: Sequence[Trace]) -> None:
        """Send the traces of a run soon; waits while too many requests are in flight. After `stop` they are dropped."""
        if self.is_stopped:
            shipment.waiting, shipment.dropped = 0, self._stop_reason
            return
        parts = [
            (trace.execution.resource_pipeline(), _Part(shipment, trace.spans[at : at + BATCH_SPANS]))
            for trace in traces
            for at in range(0, len(trace.spans), BATCH_SPANS)
        ]
        shipment.waiting = len(parts)
        for pipeline, part in parts:
            batch = self._gathered.get(pipeline)
            if batch is not None and batch.spans + len(part.spans) > BATCH_SPANS:
                self._put(self._gathered.pop(pipeline))
                batch = None
            if batch is None:
                batch = self._gathered[pipeline] = _Batch(self._resource(pipeline))
            batch.parts.append(part)
            batch.spans += len(part.spans)
            self._gathered_spans += len(part.spans)
        if self._gathered_spans > _MAX_GATHERED_SPANS:
            self.flush()

    def flush(self) -> None:
        """Send what waits for more of its resource."""
        while self._gathered:
            self._put(self._gathered.popitem()[1])

    def wait(self) -> None:
        """Send everything, and wait until all of it is answered, or dropped."""
        self.flush()
        self._queue.join()

    def stop(self, reason: Exception) -> None:
        """Send nothing more: what waits is dropped, and what failed is not tried again."""
        self._stop_reason = reason
        self._stopped.set()

    def close(self) -> None:
        """Wait as `wait` does, then end the threads and close the connections."""
        self.wait()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        for sink in self._sinks:
            sink.close()

    def _put(self, batch: _Batch) -> None:
        """Queue a batch, with one more thread where all others are busy."""
        self._gathered_spans -= batch.spans
        if len(self._threads) < self._max_in_flight and (not self._threads or not self._queue.empty()):
            if self._threads:
                self._sinks.append(sink_from(self._settings))
            thread = threading.Thread(target=self._work, args=(self._sinks[-1],), name="runlog-otel", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put(batch)

    def _work(self, sink: SpanSink) -> None:
        while (batch := self._queue.get()) is not None:
            if self.is_stopped:
                self._answer(batch.parts, dropped=self._stop_reason)
            else:
                for part in batch.parts:
                    part.shipment.is_begun = True
                self._send(batch.resource, batch.parts, sink)
            self._queue.task_done()

    def _send(self, resource: Mapping[str, str], parts: Sequence[_Part], sink: SpanSink) -> None:
        """Send parts in one request, or as few as the backend takes.

        If it refuses a request for good, each part is sent by itself, so that one bad run does not fail the others.
        """
        failed: list[tuple[Sequence[Span], Exception]] = []
        seconds = self._settings.timeout_seconds

        def send(spans: Sequence[Span]) -> None:
            try:
                send_with_retries(lambda: sink.send(resource, spans, seconds), self._stopped.wait)
            except TooLargeError:
                raise
            except Exception as error:  # noqa: BLE001 an odd span must not end the thread
                self._note_failure(error)
                failed.append((spans, error))
            else:
                self._failures = 0

        spans = [span for part in parts for span in part.spans]
        refused = send_in_batches(spans, send, len(spans))
        if not failed and not refused:
            self._answer(parts)
            return
        for part in parts:
            own = set(map(id, part.spans))
            error = next((error for spans, error in failed if not own.isdisjoint(map(id, spans))), None)
            if error is not None and len(parts) > 1 and not _is_transient(error) and not self.is_stopped:
                self._send(resource, [part], sink)
            else:
                self._answer([part], error, [one for one in refused if id(one.span) in own])

    def _answer(
        self,
        parts: Sequence[_Part],
        error: Exception | None = None,
        refused: Sequence[Refused[Span]] = (),
        *,
        dropped: Exception | None = None,
    ) -> None:
        with self._lock:  # other parts of a shipment may be in other requests
            for part in parts:
                shipment = part.shipment
                shipment.error = shipment.error or error
                shipment.refused += refused
                shipment.dropped = shipment.dropped or dropped
                shipment.waiting -= 1

    def _note_failure(self, error: Exception) -> None:
        if isinstance(error, DeliveryError):
            with self._lock:
                self._failures += 1
                if self._failures >= MAX_FAILURES:
                    self.stop(error)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, DeliveryError) and error.is_transient
