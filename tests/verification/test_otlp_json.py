"""Spans are read from each kind of OTLP/JSON as they were sent."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given

from runlog_otel.core.model import Run, Value
from runlog_otel.core.span_diff import differences
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span
from runlog_otel.exporters.otlp.encode import json_from_request, request_from_spans
from runlog_otel.settings import Settings
from runlog_otel.verification.otlp_json import spans_from_otlp
from runlog_otel.verification.sent import as_sent
from tests.core.logs import runs
from tests.exporters.spans import RESOURCE, spans_of_every_kind

SETTINGS = Settings.load({}, {})


def documents(spans: tuple[Span, ...]) -> list[Mapping[str, Any]]:
    """The spans as the specification writes them, as protobuf does, and as protobuf with numbers does."""
    request = request_from_spans(RESOURCE, spans)
    return [
        json.loads(json_from_request(request)),
        json.loads(json.dumps(MessageToDict(request))),
        MessageToDict(request, use_integers_for_enums=True),
    ]


@given(runs())
def test_any_trace_is_read_as_it_was_sent(run: Run) -> None:
    """Each field of each span."""
    for trace in spans_from_run(run):
        sent = [as_sent(span, SETTINGS) for span in trace.spans]
        for document in documents(trace.spans):
            assert list(differences(sent, spans_from_otlp(document.get("resourceSpans", [])))) == []


def test_each_kind_of_value_is_read() -> None:
    """Events, links, numbers, lists, and floats that JSON has no numbers for."""
    first, *others = spans_of_every_kind()
    odd: dict[str, Value] = {
        "n": math.nan,
        "i": math.inf,
        "m": -math.inf,
        "big": 2**63 - 1,
        "small": -(2**63),
        "none": (),
    }
    spans = (replace(first, attributes={**first.attributes, **odd}), *others)
    for document in documents(spans):
        read = list(spans_from_otlp(document["resourceSpans"]))
        assert list(differences([as_sent(span, SETTINGS) for span in spans], read)) == []
        assert len(read) == len(spans)


def test_values_that_only_others_have_are_no_error() -> None:
    """Bytes, maps, mixed lists, and nothing."""
    values = [
        {"bytesValue": "AA=="},
        {"kvlistValue": {"values": []}},
        {"arrayValue": {"values": [{"intValue": 1}]}},
        {},
    ]
    attributes = [{"key": f"k{at}", "value": value} for at, value in enumerate(values)]
    span = {"traceId": "0" * 32, "spanId": "0" * 16, "startTimeUnixNano": "1", "endTimeUnixNano": 2}
    (read,) = spans_from_otlp([{"scopeSpans": [{"spans": [span | {"attributes": attributes}]}]}])
    assert (list(read.attributes), read.attributes["k2"], read.attributes["k3"]) == (
        ["k0", "k1", "k2", "k3"],
        ("1",),
        "",
    )


@pytest.mark.parametrize(
    "document",
    [
        [1],
        [{"scopeSpans": [{"spans": [{}]}]}],
        [{"scopeSpans": [{"spans": [{"traceId": "x", "spanId": "y"}]}]}],
        [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}],
        [{"scopeSpans": 5}],
        [{"scopeSpans": [{"scope": None, "spans": [{}]}]}],
    ],
)
def test_anything_else_is_refused(document: Any) -> None:
    """With one kind of error."""
    with pytest.raises(ValueError, match="no spans of OTLP/JSON"):
        list(spans_from_otlp(document))
