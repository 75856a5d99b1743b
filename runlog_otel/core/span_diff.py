"""Compares the spans that a log maps to with those that a backend has.

What a backend changes by itself is a `Loss`, with its reason: what a loss explains is no difference.
"""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from runlog_otel.core import semconv
from runlog_otel.core.model import Value
from runlog_otel.core.trace import Attributes, Event, Link

_US_NS = 1_000
_ADDED_BY_JAEGER = ("attribute @jaeger@", "attribute internal.")
_REFERENCE_TYPE = "attribute opentracing.ref_type"


class Kind(str, Enum):
    """How a span in a backend is not as the log says."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


class Loss(Enum):
    """What a backend does not keep as it was sent."""

    MICROSECONDS = "its storage has start and duration in whole microseconds, each cut: Cassandra, Elasticsearch"
    LISTS_AS_TEXT = "its storage has no lists and keeps their JSON: Badger, Cassandra, Elasticsearch"
    LINKS_AS_REFERENCES = "its storage has references instead of links, without attributes, with a type"
    OWN_ATTRIBUTES = "it adds attributes of its own, such as warnings"


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """A span as OTLP has it; `error` is the description of the status ERROR, None is any other status."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    kind: str
    """`server`, `internal`, …"""
    start_ns: int
    end_ns: int
    attributes: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    error: str | None = None
    tracestate: str = ""
    scope: tuple[str, str] = ("", "")
    """Name and version of the instrumentation scope."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One span, or one field of a span, that is not as the log says; None is a field that is not there."""

    kind: Kind
    span_id: bytes
    name: str
    field: str = ""
    expected: Value | None = None
    actual: Value | None = None


def differences(
    expected: Iterable[StoredSpan], actual: Iterable[StoredSpan], losses: Collection[Loss] = ()
) -> Iterator[Difference]:
    """Compare the spans of one execution with all spans of its trace in a backend.

    Spans of others in the same trace (users' code, the caller, other runs) are not compared. A backend may have a span
    more than once; each of its contents is compared.

    Args:
        expected: the spans that the log maps to.
        actual: the spans of the trace, in any order.
        losses: what the backend does not keep.
    """
    stored: dict[bytes, list[StoredSpan]] = defaultdict(list)
    for span in actual:
        stored[span.span_id].append(span)
    execution: tuple[Value | None, ...] | None = None
    for span in expected:
        execution = execution or _execution_of(span)
        copies = stored.pop(span.span_id, [])
        if not copies:
            yield Difference(Kind.MISSING, span.span_id, span.name)
        yield from dict.fromkeys(one for copy in copies for one in _different(span, copy, losses))
    for span_id, copies in stored.items():
        own = [copy for copy in copies if copy.scope[0] == semconv.SCOPE_NAME and _execution_of(copy) == execution]
        if own:
            yield Difference(Kind.EXTRA, span_id, own[0].name)


def _execution_of(span: StoredSpan) -> tuple[Value | None, ...]:
    """What a span says of the execution that it is part of."""
    return span.attributes.get(semconv.PIPELINE_RUN_ID), span.attributes.get(semconv.EXECUTION)


def _different(expected: StoredSpan, actual: StoredSpan, losses: Collection[Loss]) -> Iterator[Difference]:
    of_log, of_backend = _facts(expected), _facts(actual)
    for name in of_log | of_backend:
        ours, theirs = of_log.get(name), of_backend.get(name)
        if not _is_same(ours, theirs) and not any(_explains(loss, name, ours, theirs) for loss in losses):
            yield Difference(Kind.DIFFERENT, expected.span_id, expected.name, name, ours, theirs)


def _facts(span: StoredSpan) -> dict[str, Value]:
    """All that is compared, by names for people. Events are in the order of their times, links in that of their ids."""
    facts: dict[str, Value] = {
        "trace id": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "start": span.start_ns,
        "end": span.end_ns,
        "status": "unset" if span.error is None else "error",
        "status description": span.error or "",
        "trace state": span.tracestate,
        "version of the mapping": span.scope[1],
        **_named("", span.attributes),
    }
    by_time = sorted(span.events, key=lambda event: (event.time_ns, event.name, sorted(map(repr, event.attributes))))
    for number, event in enumerate(by_time, 1):
        facts |= {f"event {number}": event.name, f"event {number} time": event.time_ns}
        facts |= _named(f"event {number} ", event.attributes)
    for number, link in enumerate(sorted(span.links, key=lambda link: link[:2]), 1):
        facts |= {f"link {number}": f"{link.trace_id.hex()} {link.span_id.hex()}"}
        facts |= _named(f"link {number} ", link.attributes)
    return facts


def _named(part: str, attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {f"{part}attribute {name}": value for name, value in attributes.items()}


def _is_same(ours: Value | None, theirs: Value | None) -> bool:
    """Whether two values are equal and of one type: 1, 1.0 and True are three values."""
    if type(ours) is not type(theirs):
        return False
    return ours == theirs or (isinstance(ours, float) and isinstance(theirs, float) and _are_nan(ours, theirs))


def _are_nan(*values: float) -> bool:
    return all(map(math.isnan, values))


def _explains(loss: Loss, name: str, ours: Value | None, theirs: Value | None) -> bool:
    match loss:
        case Loss.MICROSECONDS:
            return (
                (name in ("start", "end") or (name.startswith("event ") and name.endswith(" time")))
                and isinstance(ours, int)
                and isinstance(theirs, int)
                and theirs % _US_NS == 0
                and 0 <= ours - theirs < 2 * _US_NS  # of the end, start and duration are cut
            )
        case Loss.LISTS_AS_TEXT:
            return isinstance(ours, tuple) and isinstance(theirs, str) and _is_json_of(ours, theirs)
        case Loss.LINKS_AS_REFERENCES:
            is_of_link = name.startswith("link ") and " attribute " in name
            return is_of_link and (theirs is None or (ours is None and name.endswith(_REFERENCE_TYPE)))
        case Loss.OWN_ATTRIBUTES:
            return ours is None and name.startswith(_ADDED_BY_JAEGER)


def _is_json_of(items: tuple[str, ...], text: str) -> bool:
    try:
        return bool(json.loads(text) == list(items))
    except (ValueError, RecursionError):
        return False
