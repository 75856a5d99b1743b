"""Spans as the bytes of an OTLP request, without protobuf: those of the message that `encode` builds, 7 times faster.

A field is its tag (number in opentelemetry-proto, type on the wire), then its content; fields stand in the order of
their numbers. As in protobuf, a field with its default is left out, unless it is a message or a part of `AnyValue`.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from runlog_otel.core.memo import AttributeGroup, JoinedAttributes
from runlog_otel.core.model import Value
from runlog_otel.core.semconv import SCHEMA_URL, SCOPE_NAME, SCOPE_VERSION
from runlog_otel.core.trace import Attributes, Event, Link, Span, SpanRole

_MAX_ENCODED = 2_048
"""Attributes of one type that are kept encoded: some 500 KB, and 11 MB if each is as long as it may be."""
_CONTINUED = 0x80
_UINT64 = 2**64
_DOUBLE = struct.Struct("<cd")
_FIXED64 = struct.Struct("<cQ")
_TWO_TIMES = struct.Struct("<cQcQ")


def payload_from_spans(resource: Mapping[str, str], spans: Iterable[Span]) -> bytes:
    """One `ExportTraceServiceRequest`, serialised.

    Raises:
        UnicodeEncodeError: a text has lone surrogates.
    """
    return payload_from_fields(resource, fields_from_spans(spans))


def fields_from_spans(spans: Iterable[Span]) -> bytes:
    """Spans as fields of one `ScopeSpans`; those of several runs can be joined with `+`. Raises the same."""
    return b"".join(map(_span, spans))


def payload_from_fields(resource: Mapping[str, str], span_fields: bytes) -> bytes:
    """One `ExportTraceServiceRequest`, serialised: `fields_from_spans`, and what all of its spans share."""
    scope_spans = b"".join((_SCOPE, span_fields, _SCHEMA))
    resource_spans = (_field(b"\x0a", _attributes(b"\x0a", resource)), _field(b"\x12", scope_spans), _SCHEMA)
    return _field(b"\x0a", b"".join(resource_spans))


def fixed64(nanoseconds: int) -> int:
    """A time as the wire can have it: not before 1970, nor after 2554."""
    return min(max(nanoseconds, 0), _UINT64 - 1)


def int64(value: int) -> int:
    """A whole number as the wire can have it."""
    return min(max(value, -(2**63)), 2**63 - 1)


def _span(span: Span) -> bytes:
    content = b"".join(
        (
            _ids(span.trace_id, span.span_id, span.parent_span_id),
            _names[span.name],
            b"\x30\x02" if span.role is SpanRole.RUN else b"\x30\x01",  # SERVER, INTERNAL
            _times(span.start_ns, span.end_ns),
            _attributes(b"\x4a", span.attributes),
            *map(_event, span.events),
            *map(_link, span.links),
            b"\x7a\x00"
            if span.error is None
            else _field(b"\x7a", _optional(b"\x12", span.error.encode()) + b"\x18\x02"),
            b"\x85\x01\x00\x01\x00\x00",  # flags: not remote
        )
    )
    return b"\x12" + _varint(len(content)) + content


def _ids(trace_id: bytes, span_id: bytes, parent_span_id: bytes) -> bytes:
    if (len(trace_id), len(span_id), len(parent_span_id)) == (16, 8, 8):  # 0.9 -> 0.3 us
        return b"\x0a\x10%b\x12\x08%b\x22\x08%b" % (trace_id, span_id, parent_span_id)
    return _optional(b"\x0a", trace_id) + _optional(b"\x12", span_id) + _optional(b"\x22", parent_span_id)


def _times(start_ns: int, end_ns: int) -> bytes:
    if 0 < start_ns <= end_ns < _UINT64:
        return _TWO_TIMES.pack(b"\x39", start_ns, b"\x41", end_ns)
    return _time(b"\x39", start_ns) + _time(b"\x41", end_ns)


class _Names(dict[str, bytes]):
    """Names of spans that were encoded before, each as a field."""

    def __missing__(self, name: str) -> bytes:
        if len(self) >= _MAX_ENCODED:
            self.clear()
        self[name] = encoded = _optional(b"\x2a", name.encode())
        return encoded


_names = _Names()
"""0.5 -> 0.1 us."""


def _event(event: Event) -> bytes:
    name = _optional(b"\x12", event.name.encode())
    return _field(b"\x5a", _time(b"\x09", event.time_ns) + name + _attributes(b"\x1a", event.attributes))


def _link(link: Link) -> bytes:
    ids = _optional(b"\x0a", link.trace_id) + _optional(b"\x12", link.span_id)
    return _field(b"\x6a", ids + _attributes(b"\x22", link.attributes) + b"\x35\x00\x03\x00\x00")  # flags: remote


def _attributes(tag: bytes, attributes: Attributes) -> bytes:
    if type(attributes) is JoinedAttributes:  # 1.3 -> 0.4 us
        return b"".join([_group(tag, group) for group in attributes.groups])
    # `tag.join` puts the tag before each.
    return tag.join([b"", *[_encoded[type(item[1])][item] for item in attributes.items()]])


def _group(tag: bytes, group: AttributeGroup) -> bytes:
    """A group's bytes, which it keeps: a group is of spans or of events, so it has one tag."""
    try:
        return group.encoded
    except AttributeError:
        group.encoded = encoded = _attributes(tag, group)
        return encoded


class _Encoded(dict[tuple[str, Value], bytes]):
    """Attributes of one type that were encoded before, each as a `KeyValue` after its length."""

    def __missing__(self, item: tuple[str, Value]) -> bytes:
        key, value = item
        content = _optional(b"\x0a", key.encode()) + _field(b"\x12", _any_value(value))
        encoded = _varint(len(content)) + content
        if not isinstance(value, float):  # 0.0 equals -0.0
            if len(self) >= _MAX_ENCODED:
                self.clear()
            self[item] = encoded
        return encoded


_encoded: defaultdict[type, _Encoded] = defaultdict(_Encoded)
"""By type, as 1 equals True. For the attributes of one span 12.2 -> 1.3 us; with `lru_cache(typed=True)` 1.8."""


def _any_value(value: Value) -> bytes:
    match value:
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case str():
            return _field(b"\x0a", value.encode())
        case int():
            return b"\x18" + _varint(int64(value) % _UINT64)
        case float():
            return _DOUBLE.pack(b"\x21", value)
        case _:
            return _field(b"\x2a", b"".join(_field(b"\x0a", _any_value(item)) for item in value))


def _time(tag: bytes, nanoseconds: int) -> bytes:
    if nanoseconds <= 0:
        return b""
    return _FIXED64.pack(tag, nanoseconds if nanoseconds < _UINT64 else _UINT64 - 1)  # fixed64() takes 0.1 us more


def _optional(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content if content else b""


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


@lru_cache(4_096)
def _varint(number: int) -> bytes:
    """A whole number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while number >= _CONTINUED:
        groups.append(number % _CONTINUED + _CONTINUED)
        number //= _CONTINUED
    groups.append(number)
    return bytes(groups)


_SCOPE = _field(b"\x0a", _field(b"\x0a", SCOPE_NAME.encode()) + _field(b"\x12", SCOPE_VERSION.encode()))
_SCHEMA = _field(b"\x1a", SCHEMA_URL.encode())
