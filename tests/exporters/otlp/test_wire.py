"""The bytes that are written without protobuf are those of the messages."""

import math
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runlog_otel.core.model import Value
from runlog_otel.core.semconv import PIPELINE_NAME, PIPELINE_RUN_ID
from runlog_otel.core.trace import Attributes, Event, Link, Span, SpanRole
from runlog_otel.exporters.otlp.encode import request_from_spans
from runlog_otel.exporters.otlp.wire import payload_from_spans
from tests.exporters.spans import RESOURCE, spans_of_bytes, spans_of_every_kind

_KEYS = st.sampled_from(("", "a", "b", PIPELINE_NAME, PIPELINE_RUN_ID)) | st.text()
_SAME: tuple[Value, ...] = (0, -0.0, 0.0, False, 1, 1.0, True, "", "1", (), ("",), ("1",))
_NUMBERS = st.integers() | st.floats() | st.booleans() | st.integers(-(2**70), 2**70)
_VALUES = st.sampled_from(_SAME) | st.text() | _NUMBERS | st.lists(st.text()).map(tuple)
_ATTRIBUTES = st.dictionaries(_KEYS, _VALUES, max_size=5)
_IDS = st.binary(max_size=20)
_TIMES = st.sampled_from((0, -1, 2**64 - 1, 2**64)) | st.integers()
_SPANS = st.builds(
    Span,
    role=st.sampled_from(SpanRole),
    name=st.text(),
    trace_id=_IDS,
    span_id=_IDS,
    parent_span_id=_IDS,
    start_ns=_TIMES,
    end_ns=_TIMES,
    attributes=_ATTRIBUTES,
    events=st.lists(st.builds(Event, name=st.text(), time_ns=_TIMES, attributes=_ATTRIBUTES), max_size=3).map(tuple),
    links=st.lists(st.builds(Link, trace_id=_IDS, span_id=_IDS, attributes=_ATTRIBUTES), max_size=3).map(tuple),
    error=st.none() | st.text(),
    tracestate=st.text(),
)
_RESOURCES = st.dictionaries(st.text(), st.text(), max_size=3)


def stock(resource: dict[str, str], spans: Iterable[Span]) -> bytes:
    """The message, serialised."""
    return request_from_spans(resource, list(spans)).SerializeToString()


def with_attributes(*attributes: Attributes) -> list[Span]:
    """A span for each."""
    (first, *_) = spans_of_every_kind()
    return [replace(first, attributes=each) for each in attributes]


@given(_RESOURCES, st.lists(_SPANS, max_size=4))
@example({}, [])
@example(RESOURCE, list(spans_of_every_kind()))
@example(RESOURCE, spans_of_bytes(0, 100, 127, 128, 16_383, 16_384, 3_000_000))
def test_the_bytes_are_those_of_the_message(resource: dict[str, str], spans: list[Span]) -> None:
    """For every span that the model can hold, whatever was encoded before."""
    assert payload_from_spans(resource, spans) == stock(resource, spans)


def test_each_run_has_its_resource() -> None:
    """A request of several runs says of each what its name and its id are, and keeps the order of the spans."""
    spans = with_attributes(*({PIPELINE_NAME: "p", PIPELINE_RUN_ID: run_id} for run_id in ("a", "a", "b", "a")))
    request = ExportTraceServiceRequest.FromString(payload_from_spans(RESOURCE, spans))
    resources = [
        ({pair.key: pair.value.string_value for pair in of_run.resource.attributes}, len(of_run.scope_spans[0].spans))
        for of_run in request.resource_spans
    ]
    own = {**RESOURCE, PIPELINE_NAME: "p"}
    assert resources == [
        ({**own, PIPELINE_RUN_ID: "a"}, 2),
        ({**own, PIPELINE_RUN_ID: "b"}, 1),
        ({**own, PIPELINE_RUN_ID: "a"}, 1),
    ]
    assert request.SerializeToString() == stock(RESOURCE, spans)


def test_equal_values_of_different_types_are_told_apart() -> None:
    """1, 1.0 and True have different bytes under the same key, in any order; so have 0.0 and -0.0, and two NaN."""
    (negative_nan,) = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))
    values = (*_SAME, math.nan, negative_nan, *reversed(_SAME))
    spans = with_attributes(*({"a": value} for value in values))
    assert payload_from_spans({}, spans) == stock({}, spans)


def test_more_attributes_than_are_kept() -> None:
    """Encoded attributes are forgotten, and encoded again."""
    attributes: list[Attributes] = [{"a": f"v{number}", "b": number} for number in range(5_000)]
    spans = with_attributes(*attributes, *attributes)
    assert payload_from_spans({}, spans) == stock({}, spans)


@pytest.mark.parametrize(
    "odd",
    [{"name": "\ud800"}, {"error": "\ud800"}, {"attributes": {"\ud800": 1}}, {"attributes": {"a": ("\ud800",)}}],
)
def test_lone_surrogates_are_refused_as_by_the_message(odd: dict[str, Any]) -> None:
    """The gate replaces them; a span that has one cannot be sent."""
    spans = [replace(spans_of_every_kind()[0], **odd)]
    for encode in (stock, payload_from_spans):
        with pytest.raises(UnicodeEncodeError):
            encode({}, spans)
