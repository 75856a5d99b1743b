"""The port of all span exporters."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from runlog_otel.core.trace import Span


class SpanSink(Protocol):
    """A destination of spans. One thread at a time may use it, in the process that made it."""

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """Send spans and return once all of them are acknowledged.

        Args:
            resource: the resource attributes of the spans.
            spans: what to send; a batch is small enough for one request.
            timeout_seconds: for the whole call.

        Raises:
            TooLargeError: the request is too large; fewer spans may be accepted.
            DeliveryError: not every span was acknowledged in time.
        """

    def close(self) -> None:
        """Close connections and files."""
