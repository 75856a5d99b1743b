"""A trace as Jaeger's API tells it, whether it was read there or is still on its way as OTLP, and how two differ."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.backend import Sent

Document = Mapping[str, Any]
Tag = tuple[str, Any]


@dataclass(frozen=True)
class Shown:
    """A span as Jaeger's API has it; times in microseconds since the epoch."""

    name: str
    parent: str
    start: int | None
    """None: the log has no time for it, so it stands somewhere within its parent, without duration."""
    duration: int
    tags: Mapping[str, Tag]
    events: tuple[tuple[int, Mapping[str, str]], ...] = ()
    links: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Told:
    """A trace as Jaeger's API has it: spans by their ids, and what produced them."""

    spans: Mapping[str, Shown]
    service: str
    resource: Mapping[str, str]


def tag(value: Any) -> Tag:
    """A value with the name of its type in Jaeger."""
    return {bool: "bool", int: "int64", float: "float64", str: "string", list: "list"}[type(value)], value


def told_by_jaeger(trace: Document) -> Told:
    """What Jaeger's API has of a trace that comes from one process."""
    spans = {span["spanID"]: _shown(span) for span in trace["spans"]}
    counts = Counter((span["spanID"], span["operationName"]) for span in trace["spans"])
    assert [who for who, count in counts.items() if count > 1] == [], "span ids occur twice"
    (process,) = trace["processes"].values()
    return Told(spans, process["serviceName"], {tag["key"]: tag["value"] for tag in process["tags"]})


def told_by_otlp(sent: Iterable[Sent]) -> Told:
    """What Jaeger would tell of spans of one trace, as they came; the same span may have come again."""
    spans = {each.span_id: each for each in sent}
    (service,) = {each.resource["service.name"] for each in spans.values()}
    (resource,) = {tuple(sorted(each.resource.items())) for each in spans.values()}
    rest = {name: value for name, value in resource if name != "service.name"}
    return Told({span_id: _shown_by_otlp(each.span) for span_id, each in spans.items()}, service, rest)


def _shown_by_otlp(span: Span) -> Shown:
    tags = {attribute.key: tag(_value(attribute.value)) for attribute in span.attributes}
    tags["span.kind"] = ("string", "server" if span.kind == Span.SPAN_KIND_SERVER else "internal")
    tags |= {"otel.scope.name": ("string", "runlog_otel"), "otel.scope.version": ("string", "2")}
    if span.status.code == Status.STATUS_CODE_ERROR:
        tags |= {"error": ("bool", True), "otel.status_code": ("string", "ERROR")}
        tags["otel.status_description"] = ("string", span.status.message)
    return Shown(
        name=span.name,
        parent=span.parent_span_id.hex(),
        start=span.start_time_unix_nano // 1000,
        duration=(span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
        tags=tags,
        events=tuple(
            (event.time_unix_nano // 1000, {"event": event.name} | {x.key: _value(x.value) for x in event.attributes})
            for event in span.events
        ),
        links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _value(value: AnyValue) -> Any:
    if value.WhichOneof("value") == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, value.WhichOneof("value") or "string_value")


def differences(actual: Told, expected: Told) -> list[str]:
    """Each field of each span that is not as expected, in words: a comparison that can be read."""
    expected = _placed(expected, actual)
    told = [
        f"{name} is {getattr(actual, name)!r}, not {getattr(expected, name)!r}"
        for name in ("service", "resource")
        if getattr(actual, name) != getattr(expected, name)
    ]
    told += [f"{span.name} is missing" for own, span in expected.spans.items() if own not in actual.spans]
    told += [f"{span.name} is too much" for own, span in actual.spans.items() if own not in expected.spans]
    for own in expected.spans.keys() & actual.spans.keys():
        is_, ought = asdict(actual.spans[own]), asdict(expected.spans[own])
        told += [f"{ought['name']}: {key} is {is_[key]}, not {ought[key]}" for key in ought if is_[key] != ought[key]]
    assert bool(told) == (actual != expected)
    return sorted(told)


def _placed(expected: Told, actual: Told) -> Told:
    """The expectation with a start for what has no time in the log: anywhere within its parent."""
    spans = dict(expected.spans)
    for span_id, span in expected.spans.items():
        if span.start is None and span_id in actual.spans:
            start, parent = actual.spans[span_id].start, actual.spans[span.parent]
            assert start is not None
            assert parent.start is not None
            assert parent.start <= start <= parent.start + parent.duration
            spans[span_id] = replace(span, start=start)
    return replace(expected, spans=spans)


def outside(told: Told) -> list[Shown]:
    """The spans that do not lie within their parents."""

    def lies_within(span: Shown) -> bool:
        parent = told.spans[span.parent]
        assert span.start is not None
        assert parent.start is not None
        return parent.start <= span.start <= span.start + span.duration <= parent.start + parent.duration

    return [span for span in told.spans.values() if span.parent and not lies_within(span)]


def _shown(span: Document) -> Shown:
    parents = [reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"]
    links = [reference for reference in span["references"] if reference["refType"] != "CHILD_OF"]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in span["tags"]}
    for key, (_, value) in tags.items():
        if isinstance(value, str) and value.startswith("["):
            tags[key] = ("list", json.loads(value))
    events = ((log["timestamp"], {tag["key"]: tag["value"] for tag in log["fields"]}) for log in span["logs"])
    return Shown(
        name=span["operationName"],
        parent="".join(parents),
        start=span["startTime"],
        duration=span["duration"],
        tags=tags,
        events=tuple(events),
        links=frozenset((link["traceID"], link["spanID"]) for link in links),
    )
