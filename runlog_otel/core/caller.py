"""The span that started a run, as the header's `traceparent` names it (W3C Trace Context, section 3.2)."""

import re
from typing import NamedTuple

_TRACEPARENT = (
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
_SAMPLED = 1


class Caller(NamedTuple):
    """A span of another process."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool


def caller_from(traceparent: str) -> Caller | None:
    """The caller; None if the text is no valid `traceparent`."""
    match = re.fullmatch(_TRACEPARENT, traceparent)
    if match is None or (match["version"] == "00" and match["rest"]):
        return None
    trace_id, span_id = bytes.fromhex(match["trace"]), bytes.fromhex(match["span"])
    is_valid = any(trace_id) and any(span_id)
    return Caller(trace_id, span_id, bool(int(match["flags"], 16) & _SAMPLED)) if is_valid else None
