"""Sends in requests that a backend accepts; with retries in replays, where no pipeline waits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from runlog_otel.core.trace import Span, Trace
from runlog_otel.errors import DeliveryError, TooLargeError
from runlog_otel.exporters.otlp.transience import pause_before_retry
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.mapping import resource_attributes
from runlog_otel.settings import Settings

BATCH_SPANS = 512
_NAMED_SPANS = 3
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Refused(Generic[_Item]):
    """A span, or a log record, that is too large for the backend, by itself."""

    span: _Item
    error: TooLargeError


def send_in_batches(
    spans: Sequence[_Item], send: Callable[[Sequence[_Item]], None], batch_spans: int = BATCH_SPANS
) -> list[Refused[_Item]]:
    """Send spans, or log records, in batches; a batch that is too large is halved until one span is left.

    Args:
        spans: of one resource.
        send: sends some of them, as `SpanSink.send` does.
        batch_spans: how many of them a request has at most.

    Returns:
        The spans that are too large even alone; all others are acknowledged.

    Raises:
        DeliveryError: a batch was not acknowledged for another reason; those after it were not tried.
    """
    refused: list[Refused[_Item]] = []
    waiting = [spans[at : at + batch_spans] for at in range(0, len(spans), batch_spans)][::-1]
    while waiting:
        batch = waiting.pop()
        try:
            send(batch)
        except TooLargeError as error:
            middle = len(batch) // 2
            if middle:
                waiting += (batch[middle:], batch[:middle])
            else:
                refused.append(Refused(batch[0], error))
    return refused


def send_with_retries(send: Callable[[], None], pause: Callable[[float], object] | None = None) -> None:
    """Send a batch, and again after a pause while its failure is transient.

    Args:
        send: sends it, as `SpanSink.send` does.
        pause: waits for some seconds; if it returns true, there is no other try.

    Raises:
        TooLargeError: see `SpanSink.send`.
        DeliveryError: the last try failed.
    """
    for tries in count(1):
        try:
            send()
            return
        except DeliveryError as error:  # noqa: PERF203 each try has its own error
            seconds = pause_before_retry(error, tries)
            if seconds is None or (pause or time.sleep)(seconds):
                raise


def send_trace(trace: Trace, sink: SpanSink, settings: Settings) -> list[Refused[Span]]:
    """Send the spans of a trace; returns and raises as `send_in_batches`."""
    resource, seconds = resource_attributes(trace.execution.resource_pipeline(), settings), settings.timeout_seconds
    return send_in_batches(trace.spans, lambda batch: send_with_retries(lambda: sink.send(resource, batch, seconds)))


def raise_if_refused(refused: Sequence[Refused[Span]]) -> None:
    """Raise TooLargeError that names the spans of a run which the backend refused for their size."""
    if refused:
        first = refused[0].error
        raise TooLargeError(first.endpoint, reason_of(refused), first.size_bytes)


def reason_of(refused: Sequence[Refused[Span]]) -> str:
    """Which spans are too large for the backend, by name and size; all others were acknowledged."""
    named = [f"{one.span.name!r} of {one.error.size_bytes:,} bytes" for one in refused[:_NAMED_SPANS]]
    named += [f"{len(refused) - _NAMED_SPANS} more"] if len(refused) > _NAMED_SPANS else []
    spans = "spans are" if len(refused) > 1 else "span is"
    limit = refused[0].error.reason
    return f"{len(refused)} {spans} too large for the backend: {', '.join(named)} ({limit}); the rest was acknowledged"
