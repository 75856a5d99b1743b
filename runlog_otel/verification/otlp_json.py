"""Spans of OTLP/JSON documents: of the OTLP specification, of protobuf's own JSON, and of Tempo's."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runlog_otel.core.model import Value
from runlog_otel.core.span_diff import StoredSpan
from runlog_otel.core.trace import Event, Link

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_ERROR = (2, "STATUS_CODE_ERROR")
_HEX_LENGTHS = (16, 32)
"""Of span and trace ids; in base64 they have 12 and 24 characters."""
_SCALARS: Mapping[str, Any] = {"stringValue": str, "boolValue": bool, "intValue": int, "doubleValue": float}
_MALFORMED = (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)


def spans_from_otlp(resource_spans: Sequence[Mapping[str, Any]]) -> Iterator[StoredSpan]:
    """The spans of a list of `ResourceSpans`.

    Source: opentelemetry-proto, trace/v1. Ids are hexadecimal (OTLP specification) or in base64 (protobuf, Tempo);
    enumerations are numbers or names.

    Raises:
        ValueError: it is something else.
    """
    try:
        for of_resource in resource_spans:
            for of_scope in of_resource.get("scopeSpans", ()):
                scope = of_scope.get("scope", {})
                for span in of_scope.get("spans", ()):
                    yield _span(span, (scope.get("name", ""), scope.get("version", "")))
    except _MALFORMED as error:
        raise ValueError(f"no spans of OTLP/JSON ({type(error).__name__})") from error


def _span(span: Mapping[str, Any], scope: tuple[str, str]) -> StoredSpan:
    status = span.get("status", {})
    return StoredSpan(
        trace_id=_id(span["traceId"]),
        span_id=_id(span["spanId"]),
        parent_span_id=_id(span.get("parentSpanId", "")),
        name=span.get("name", ""),
        kind=_kind(span.get("kind", 0)),
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        attributes=_attributes(span),
        events=tuple(
            Event(event.get("name", ""), int(event.get("timeUnixNano", 0)), _attributes(event))
            for event in span.get("events", ())
        ),
        links=tuple(
            Link(_id(link["traceId"]), _id(link["spanId"]), _attributes(link)) for link in span.get("links", ())
        ),
        error=status.get("message", "") if status.get("code") in _ERROR else None,
        tracestate=span.get("traceState", ""),
        scope=scope,
    )


def _id(text: str) -> bytes:
    return bytes.fromhex(text) if len(text) in _HEX_LENGTHS else base64.b64decode(text, validate=True)


def _kind(kind: int | str) -> str:
    return _KINDS[kind] if isinstance(kind, int) else kind.removeprefix("SPAN_KIND_").lower()


def _attributes(part: Mapping[str, Any]) -> dict[str, Value]:
    return {attribute["key"]: _value(attribute.get("value", {})) for attribute in part.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> Value:
    for name, kind in _SCALARS.items():
        if name in value:
            scalar: Value = kind(value[name])
            return scalar
    if "arrayValue" in value:
        return tuple([str(_value(item)) for item in value["arrayValue"].get("values", ())])
    return str(value) if value else ""  # bytes and maps, which only spans of others have
