"""How large an OTLP request may be."""

from runlog_otel.errors import TooLargeError
from runlog_otel.settings import Settings


class SizeLimit:
    """How large a request may be: as the settings say, and smaller than what this backend has refused.

    Both sizes count, before and after compression: a backend may limit either.
    """

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_batch_bytes
        self._refused: list[tuple[int, int, str]] = []

    def check(self, endpoint: str, size: int, sent_size: int, *, is_divisible: bool) -> None:
        """Raise TooLargeError for a request that need not be tried; one span alone may be larger than a batch."""
        for refused_size, refused_sent_size, reason in self._refused:
            if size >= refused_size and sent_size >= refused_sent_size:
                raise TooLargeError(endpoint, f"{reason} to a smaller request", size)
        if is_divisible and size > self._most:
            raise TooLargeError(endpoint, "larger than max_batch_bytes", size)

    def note_refusal(self, error: TooLargeError, sent_size: int) -> TooLargeError:
        """Remember that a request was refused for its size; returns the error."""
        self._refused.append((error.size_bytes, sent_size, error.reason))
        return error
