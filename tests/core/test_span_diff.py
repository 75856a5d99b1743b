"""The spans of a backend are compared with those of the log: whatever one thing is not as it was sent is found."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.model import Value
from runlog_otel.core.span_diff import Difference, Kind, Loss, StoredSpan, differences
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Event, Link
from runlog_otel.settings import Settings
from runlog_otel.verification.sent import as_sent
from tests.core.logs import runs

SETTINGS = Settings.load({}, {})
ATTRIBUTES: dict[str, Value] = {
    "cicd.pipeline.run.id": "r",
    "runlog.execution": 1,
    "rows": 3,
    "share": 0.5,
    "is_new": True,
    "names": ("a", "b"),
    "odd": math.nan,
    "text": "x",
}
SCOPE = ("runlog_otel", "2")
SPAN = StoredSpan(
    trace_id=b"t" * 16,
    span_id=b"s" * 8,
    parent_span_id=b"p" * 8,
    name="load attempt",
    kind="internal",
    start_ns=1_790_000_000_123_456_789,
    end_ns=1_790_000_001_123_456_788,
    attributes=ATTRIBUTES,
    events=(Event("exception", 1_790_000_001_123_456_788, {"exception.type": "ValueError"}), Event("e", 5, {"n": 1})),
    links=(Link(b"u" * 16, b"v" * 8, {"runlog.link": "caller"}),),
    error="ValueError: x",
    tracestate="a=b",
    scope=SCOPE,
)


def changed(**attributes: Any) -> StoredSpan:
    """The span with other attributes; None takes one away."""
    both: Mapping[str, Any] = {**SPAN.attributes, **attributes}
    return replace(SPAN, attributes={key: value for key, value in both.items() if value is not None})


def first_event(event: Event) -> StoredSpan:
    return replace(SPAN, events=(event, SPAN.events[1]))


EXCEPTION, LINK = SPAN.events[0], SPAN.links[0]
CHANGES: Mapping[str, tuple[str, StoredSpan]] = {
    "trace id": ("trace id", replace(SPAN, trace_id=b"T" * 16)),
    "parent": ("parent", replace(SPAN, parent_span_id=b"")),
    "name": ("name", replace(SPAN, name="load")),
    "kind": ("kind", replace(SPAN, kind="server")),
    "start": ("start", replace(SPAN, start_ns=SPAN.start_ns + 1)),
    "end": ("end", replace(SPAN, end_ns=SPAN.end_ns - 1)),
    "description": ("status description", replace(SPAN, error="ValueError: y")),
    "state": ("trace state", replace(SPAN, tracestate="")),
    "version": ("version of the mapping", replace(SPAN, scope=("runlog_otel", "1"))),
    "value": ("attribute rows", changed(rows=4)),
    "type": ("attribute rows", changed(rows=3.0)),
    "truth": ("attribute is_new", changed(is_new=1)),
    "text": ("attribute text", changed(text="xy")),
    "float": ("attribute share", changed(share=0.5000000000000001)),
    "no number": ("attribute odd", changed(odd=0.0)),
    "list": ("attribute names", changed(names=("b", "a"))),
    "attribute away": ("attribute rows", changed(rows=None)),
    "attribute more": ("attribute more", changed(more="x")),
    "event's name": ("event 2", first_event(EXCEPTION._replace(name="failure"))),
    "event's time": ("event 2 time", first_event(EXCEPTION._replace(time_ns=EXCEPTION.time_ns + 1))),
    "event's value": (
        "event 2 attribute exception.type",
        first_event(EXCEPTION._replace(attributes={"exception.type": "E"})),
    ),
    "link's value": (
        "link 1 attribute runlog.link",
        replace(SPAN, links=(LINK._replace(attributes={"runlog.link": "x"}),)),
    ),
    "link's span": ("link 1", replace(SPAN, links=(LINK._replace(span_id=b"w" * 8),))),
}


def found(expected: list[StoredSpan], actual: list[StoredSpan], *losses: Loss) -> list[tuple[str, str, str]]:
    """Kind, span and field of each difference."""
    return [(one.kind.value, one.name, one.field) for one in differences(expected, actual, losses)]


@pytest.mark.parametrize(("field", "stored"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("losses", [(), tuple(Loss)], ids=["exact", "with losses"])
def test_each_change_is_found(field: str, stored: StoredSpan, losses: tuple[Loss, ...]) -> None:
    """One field, and no other; also where the backend may lose something else."""
    assert found([SPAN], [stored], *losses) == [("different", "load attempt", field)]


def test_a_status_is_compared() -> None:
    """Without an error there is no description either."""
    assert found([SPAN], [replace(SPAN, error=None)]) == [
        ("different", "load attempt", "status"),
        ("different", "load attempt", "status description"),
    ]


def test_a_difference_has_both_values() -> None:
    """None stands for what is not there."""
    assert list(differences([SPAN], [changed(rows=4)])) == [
        Difference(Kind.DIFFERENT, SPAN.span_id, "load attempt", "attribute rows", 3, 4)
    ]
    assert [one.actual for one in differences([SPAN], [changed(rows=None)])] == [None]


def test_order_and_repetition_mean_nothing() -> None:
    """Of attributes, events, and spans; a span may be there twice."""
    turned = replace(
        SPAN,
        attributes=dict(sorted(SPAN.attributes.items(), reverse=True)),
        events=SPAN.events[::-1],
        links=SPAN.links[::-1],
    )
    other = replace(SPAN, span_id=b"o" * 8)
    assert found([SPAN, other], [other, turned, SPAN]) == []


def test_each_content_of_a_span_is_compared() -> None:
    """A backend that kept two contents under one id has one too many."""
    assert found([SPAN], [SPAN, changed(rows=4), changed(rows=4)]) == [("different", "load attempt", "attribute rows")]


def test_spans_of_others_are_not_compared() -> None:
    """Users' code, the caller, another execution and another run may share the trace; a span of this one may not."""
    users = replace(SPAN, span_id=b"1" * 8, scope=("requests", ""))
    again = replace(changed(**{"runlog.execution": 2}), span_id=b"2" * 8)
    run = replace(changed(**{"cicd.pipeline.run.id": "other"}), span_id=b"3" * 8)
    ours = replace(SPAN, span_id=b"4" * 8, name="old")
    assert found([SPAN], [SPAN, users, again, run, ours]) == [("extra", "old", "")]


_LOST: Mapping[str, tuple[Loss, StoredSpan]] = {
    "times": (
        Loss.MICROSECONDS,
        replace(
            SPAN,
            start_ns=1_790_000_000_123_456_000,
            end_ns=1_790_000_001_123_455_000,  # the duration is cut, too
            events=(EXCEPTION._replace(time_ns=1_790_000_001_123_456_000), SPAN.events[1]._replace(time_ns=0)),
        ),
    ),
    "lists": (Loss.LISTS_AS_TEXT, changed(names='["a","b"]')),
    "links": (
        Loss.LINKS_AS_REFERENCES,
        replace(SPAN, links=(LINK._replace(attributes={"opentracing.ref_type": "follows_from"}),)),
    ),
    "own attributes": (Loss.OWN_ATTRIBUTES, changed(**{"@jaeger@warnings": ("clock skew",)})),
}


@pytest.mark.parametrize(("loss", "stored"), _LOST.values(), ids=_LOST)
def test_a_loss_explains_what_a_backend_changes(loss: Loss, stored: StoredSpan) -> None:
    """And nothing explains it where the backend keeps all."""
    assert found([SPAN], [stored], loss) == []
    assert found([SPAN], [stored], *(other for other in Loss if other is not loss)) != []


@pytest.mark.parametrize(
    "stored",
    [
        replace(SPAN, start_ns=1_790_000_000_123_458_000),
        replace(SPAN, start_ns=1_790_000_000_123_454_000),
        changed(names='["a","c"]'),
        changed(names='["a"'),
        changed(names="[" * 100_000),
        changed(text='["x"]'),
    ],
)
def test_a_loss_explains_no_more(stored: StoredSpan) -> None:
    """Another microsecond, another list, and text that was no list."""
    assert len(found([SPAN], [stored], *Loss)) == 1


@given(runs())
def test_what_was_sent_is_not_different(run: Any) -> None:
    """Whatever the log, in any backend."""
    for trace in spans_from_run(run):
        spans = [as_sent(span, SETTINGS) for span in trace.spans]
        assert list(differences(spans, spans[::-1])) == []
        assert list(differences(spans, spans, tuple(Loss))) == []


_FIELDS: Mapping[str, Callable[[StoredSpan], StoredSpan]] = {
    "parent": lambda span: replace(span, parent_span_id=bytes(8)),
    "name": lambda span: replace(span, name=span.name + "x"),
    "start": lambda span: replace(span, start_ns=span.start_ns + 1_000),
    "end": lambda span: replace(span, end_ns=span.end_ns + 1),
    "status": lambda span: replace(span, error="x" if span.error is None else None),
    "attribute": lambda span: replace(span, attributes={**span.attributes, "runlog.execution": 99}),
    "event": lambda span: replace(span, events=(*span.events, Event("e", span.end_ns, {}))),
    "link": lambda span: replace(span, links=(*span.links, Link(b"x" * 16, b"y" * 8, {}))),
}


@given(runs(), st.randoms(use_true_random=False), st.sampled_from([*_FIELDS, "missing"]))
def test_one_planted_fault_is_found_and_nothing_else(run: Any, random: Any, fault: str) -> None:
    """In any log: the span is named, and no other."""
    traces = [trace for trace in spans_from_run(run) if trace.spans]
    if not traces:
        return
    spans = [as_sent(span, SETTINGS) for span in random.choice(traces).spans]
    index = random.randrange(len(spans))
    planted = [] if fault == "missing" else [_FIELDS[fault](spans[index])]
    result = list(differences(spans, [*spans[:index], *planted, *spans[index + 1 :]], tuple(Loss)))
    assert {one.span_id for one in result} == {spans[index].span_id}
    assert {one.kind for one in result} == {Kind.MISSING if fault == "missing" else Kind.DIFFERENT}


def test_a_value_of_a_list_that_is_json_stays_one() -> None:
    """A list whose items are odd texts is still recognised in its JSON."""
    names = ('a"b', "\u2028", "<x>")
    assert found([changed(names=names)], [changed(names=json.dumps(names))], Loss.LISTS_AS_TEXT) == []
