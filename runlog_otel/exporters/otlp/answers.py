"""Reads the body of an answer to an OTLP request: full success, or what was rejected.

Source: OTLP specification, sections "OTLP/HTTP Response" and "Partial Success".
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any

from runlog_otel.core.redaction import bounded, redacted
from runlog_otel.errors import DeliveryError

_PROTOBUF = ("application/x-protobuf", "application/protobuf")
_UNKNOWN = ("", "application/octet-stream")
_EMPTY_PARTIAL_SUCCESS = b"\x0a\x00"
"""What the Collector and Jaeger answer."""
_REASON_LIMIT = 200
_TOO_LARGE = re.compile(
    r"larger than max|status: 413"
    r"|\b(?:message|body|request|payload|entity|content|batch)\b.{0,60}"
    r"(?:too (?:large|big)|exceed\w*\b.{0,40}\b(?:size|length|bytes)\b)",
    re.IGNORECASE | re.DOTALL,
)
"""How gRPC servers (Go, C, Java, .NET, Rust), Go's HTTP server and proxies say it."""


def check_answer(where: str, content_type: str, body: bytes, response_type: Callable[[], Any]) -> None:
    """Return where the body of a successful HTTP answer acknowledges a whole request.

    Args:
        where: who answered, for messages.
        content_type: the header.
        body: an empty one means full success; JSON is read as OTLP/JSON even if protobuf was sent.
        response_type: makes an empty response of the signal.

    Raises:
        DeliveryError: something was rejected, or this is no answer of OTLP.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body or (body == _EMPTY_PARTIAL_SUCCESS and kind in (*_PROTOBUF, *_UNKNOWN)):
        return  # without protobuf, whose import takes 16 ms of CPU
    from google.protobuf.json_format import ParseError
    from google.protobuf.message import DecodeError

    response = response_type()
    try:
        _read(body, kind, response)
    except (DecodeError, ParseError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        named = f"of content type {bounded(redacted(kind), _REASON_LIMIT)!r}" if kind else "without content type"
        raise DeliveryError(where, f"the answer is not OTLP, but {len(body)} bytes {named}") from error
    if rejected := rejection(response):
        raise DeliveryError(where, rejected)


def is_about_size(text: str) -> bool:
    """Whether the reason of a refusal is the size of the request."""
    return _TOO_LARGE.search(text) is not None


def rejection(response: Any) -> str:
    """What a backend rejected, of any signal; empty if it accepted everything (`…PartialSuccess`)."""
    partial = response.partial_success
    for field in partial.DESCRIPTOR.fields:
        if field.name.startswith("rejected_") and (count := getattr(partial, field.name)):
            what = field.name.removeprefix("rejected_").replace("_", " ")
            return f"{count} {what} were rejected: {bounded(redacted(partial.error_message), _REASON_LIMIT)}"
    return ""


def _read(body: bytes, content_type: str, response: Any) -> None:
    """Read a body as JSON or protobuf, whichever it is; raises what their parsers raise for anything else."""
    from google.protobuf.json_format import ParseDict

    if body.removeprefix(BOM_UTF8).lstrip()[:1] == b"{":
        ParseDict(json.loads(body), response, ignore_unknown_fields=True)
    elif content_type in _PROTOBUF:
        response.ParseFromString(body)
    elif content_type not in _UNKNOWN:
        raise ValueError("neither JSON nor protobuf")
    else:  # any text may happen to be protobuf of unknown fields
        response.ParseFromString(body)
        size = response.ByteSize()
        response.DiscardUnknownFields()
        if response.ByteSize() != size:
            raise ValueError("not the message that is expected")
