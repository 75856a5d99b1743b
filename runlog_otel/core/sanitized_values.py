"""The texts of one part of a log, each redacted once, then cut: most of them repeat."""

from typing import Any

from runlog_otel.core.model import Value
from runlog_otel.core.redaction import Redaction, bounded_names


class SanitizedValues(dict[Any, Any]):
    """The sanitised values of raw ones; any of them can be looked up.

    It lives no longer than the mapping of its execution, because its keys may hold secrets.

    Arguments:
        redaction: of this part of the log; without one, values stay as they are.
        limit: of a text, in bytes.
    """

    def __init__(self, redaction: Redaction | None, limit: int) -> None:
        self._redaction = redaction
        self._limit = limit

    def __missing__(self, raw: Value) -> Value:
        clean: Value
        if isinstance(raw, str):
            clean = self._redaction.bounded(raw, self._limit) if self._redaction else raw
        elif isinstance(raw, tuple):
            clean = bounded_names(self[name] for name in raw) if self._redaction else raw
        else:
            return raw  # a number is not kept, because True equals 1
        self[raw] = clean
        return clean
