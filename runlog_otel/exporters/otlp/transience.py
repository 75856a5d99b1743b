"""Which failures of a backend may be retried, and after how long.

Source: OTLP specification, "Failures" of OTLP/HTTP and of OTLP/gRPC.
"""

import time
from collections.abc import Iterable
from datetime import timedelta
from email.utils import parsedate_to_datetime

from runlog_otel.errors import DeliveryError

_HTTP_STATUSES = frozenset((429, 502, 503, 504))
_GRPC_CODES = frozenset(
    (
        "ABORTED",
        "CANCELLED",
        "DATA_LOSS",
        "DEADLINE_EXCEEDED",
        "OUT_OF_RANGE",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
    )
)
_RETRY_PAUSES_SECONDS = (1.0, 2.0)
_MAX_RETRY_PAUSE_SECONDS = 10.0
"""A backend that asks for more is down for now: the run stays in the outbox."""
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 300.0


def is_transient_status(status: int) -> bool:
    """Whether the same request may succeed later, after this HTTP status."""
    return status in _HTTP_STATUSES


def is_transient_code(name: str) -> bool:
    """Whether the same call may succeed later, after the gRPC status code of this name."""
    return name in _GRPC_CODES


def seconds_from_retry_after(value: str) -> float:
    """What the header Retry-After asks for, in seconds or as a date (RFC 9110, section 10.2.3); 0 for anything else."""
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


def seconds_from_retry_info(metadata: Iterable[tuple[str, str | bytes]]) -> float:
    """What the `google.rpc.RetryInfo` in the trailing metadata of a gRPC call asks for; 0 without one."""
    from google.protobuf.message import DecodeError
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status

    details = next((value for key, value in metadata if key == "grpc-status-details-bin"), b"")
    retry_info = RetryInfo()
    try:
        for detail in Status.FromString(details).details:
            if detail.Unpack(retry_info):
                delay: timedelta = retry_info.retry_delay.ToTimedelta()
                return max(0.0, delay.total_seconds())
    except (DecodeError, TypeError, OverflowError):
        pass
    return 0.0


def pause_before_retry(error: DeliveryError, tries: int) -> float | None:
    """How many seconds to wait before a request is sent again that failed so many times; None to give up."""
    is_over = tries > len(_RETRY_PAUSES_SECONDS) or error.retry_after_seconds > _MAX_RETRY_PAUSE_SECONDS
    if is_over or not error.is_transient:
        return None
    return max(_RETRY_PAUSES_SECONDS[tries - 1], error.retry_after_seconds)


def pause_after(error: Exception, default_seconds: float) -> float:
    """How many seconds a backend that failed is left alone: as long as it asks for, within bounds."""
    seconds = error.retry_after_seconds if isinstance(error, DeliveryError) else 0.0
    return min(max(seconds, _MIN_PAUSE_SECONDS), _MAX_PAUSE_SECONDS) if seconds else default_seconds
