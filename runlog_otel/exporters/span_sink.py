"""The port that spans leave by: every way out of the process implements it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from runlog_otel.core.trace import Span


class SpanSink(Protocol):
    """Somewhere to send spans. A sink may be used by one thread at a time, and by the process that made it."""

    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """Send spans and return once all of them are acknowledged.

        Args:
            resource: attributes of whatever made the spans.
            spans: what to send; a batch is small enough for one request.
            timeout_seconds: for the whole call.

        Raises:
            TooLargeError: they are too many bytes for one request; fewer of them may be taken.
            DeliveryError: not every span was acknowledged in time.
        """

    def close(self) -> None:
        """Give back connections and files."""
