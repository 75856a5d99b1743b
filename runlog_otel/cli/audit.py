"""`runlog-otel audit`: what is exported of a run, to the last attribute; names and counts of what is held back.

Both come from the mapping that `export` uses: once with the policy of the settings, once unredacted, to compare.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runlog_otel.cli import output
from runlog_otel.cli.loading import run_named, source
from runlog_otel.cli.options import AsJson, ConfigFile, RunNamed, SourceUrl
from runlog_otel.core import semconv
from runlog_otel.core.model import Run, SecretFingerprint, Value
from runlog_otel.core.redaction import Redaction, RedactionPolicy
from runlog_otel.core.trace import Attributes, Span, Trace
from runlog_otel.exporters.otlp.resources import spans_by_resource
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.mapping import execution_of_run, resource_attributes, sends, sends_live, traces_from_run
from runlog_otel.settings import Settings

_PARAMETERS = (semconv.prefix_of(semconv.INPUT_VALUE), semconv.prefix_of(semconv.OUTPUT_VALUE))


@dataclass(slots=True)
class HeldBack:
    """What is not exported of an execution, counted."""

    parameters: Counter[str] = field(default_factory=Counter)
    """Name → values that are not on the allow-list."""
    masked: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Rule, span, and place in it → texts with something masked."""
    cut: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Span, and place in it → texts that were shortened, or surplus attributes and items."""


def audit(
    run: RunNamed,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Print exactly what is exported of a run, and names and counts of what is held back."""
    loaded = source(url, config)
    document = audited(run_named(loaded, run), loaded.settings)
    if as_json:
        output.document(document)
        return
    for execution in document["executions"]:
        output.lines(*_lines(document, execution))


def audited(run: Run, settings: Settings) -> dict[str, Any]:
    """The audit as a document; a run that is remembered as abandoned is closed, as `export` does."""
    is_abandoned = any(marker.is_abandoned for marker in Outbox(settings.outbox) if marker.run_id == run.run_id)
    leaving, whole = (
        traces_from_run(run, settings, policy=policy, is_abandoned=is_abandoned)
        for policy in (settings.policy, RedactionPolicy(is_unlimited=True))
    )
    marks = tuple(mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks)
    return {
        "run_id": leaving[0].execution.redaction(marks)(run.run_id) if leaving else run.run_id,
        "is_sampled": sends_live(execution_of_run(run, settings, 1), settings),
        "beside_spans": [what for is_sent, what in _beside_spans(settings) if is_sent and settings.is_active],
        "executions": [
            _execution(trace, settings, held_back(trace, other, marks))
            for trace, other in zip(leaving, whole, strict=True)
        ],
    }


def _beside_spans(settings: Settings) -> Iterator[tuple[bool, str]]:
    """What is exported while a run runs and is not in its log, and whether the settings enable it."""
    of = {"failed": "failed attempts", "all": "all attempts"}.get(settings.logs, "")
    yield bool(of), f"telemetry.logs: the output of {of}, masked, which is not in the run log"
    yield settings.metrics.push, "telemetry.metrics.push: metrics of each execution, made of its spans"


def held_back(leaving: Trace, whole: Trace, marks: tuple[SecretFingerprint, ...]) -> HeldBack:
    """Compare what is exported of an execution with the unredacted trace."""
    redaction = leaving.execution.redaction(marks)
    held = HeldBack()
    for span, other in zip(leaving.spans, whole.spans, strict=True):
        _compare(span.name, "name", span.name, other.name, redaction, held)
        _compare(span.name, "status", span.error or "", other.error or "", redaction, held)
        _compare_attributes(span, span.attributes, other.attributes, redaction, held)
        for event, other_event in zip(span.events, other.events, strict=False):
            _compare_attributes(span, event.attributes, other_event.attributes, redaction, held)
        if many := len(other.events) - len(span.events):
            held.cut[span.name, "events"] += many
    return held


def _compare_attributes(
    span: Span, leaving: Attributes, whole: Attributes, redaction: Redaction, held: HeldBack
) -> None:
    for name, value in whole.items():
        key = redaction.bounded(name, semconv.MAX_KEY_BYTES)
        if key in leaving:
            _compare(span.name, "name of an attribute", key, name, redaction, held)
            _compare(span.name, key, leaving[key], value, redaction, held)
        elif name.startswith(_PARAMETERS):
            held.parameters[redaction(name).split(".", 3)[-1]] += 1
        else:
            held.cut[span.name, "attributes"] += 1


def _compare(span: str, where: str, leaving: Value, whole: Value, redaction: Redaction, held: HeldBack) -> None:
    if leaving == whole:
        return
    texts = whole if isinstance(whole, tuple) else (str(whole),)
    for text in texts:
        for rule in redaction.explained(text)[1]:
            held.masked[rule, span, where] += 1
    clean = tuple(map(redaction, texts))
    if (leaving if isinstance(leaving, tuple) else (leaving,)) != clean:
        held.cut[span, where] += 1


def _execution(trace: Trace, settings: Settings, held: HeldBack) -> dict[str, Any]:
    return {
        "execution": trace.execution.number,
        "trace_id": trace.execution.trace_id.hex(),
        "is_complete": trace.is_complete,
        "is_sent": settings.is_active and sends(trace, settings),
        "resource": next(
            resource
            for resource, _ in spans_by_resource(
                resource_attributes(trace.execution.resource_pipeline(), settings), trace.spans
            )
        ),
        "spans": [_span(span) for span in trace.spans],
        "held_back": {
            "parameters": dict(sorted(held.parameters.items())),
            "masked": [
                {"rule": rule, "span": span, "where": where, "count": count}
                for (rule, span, where), count in sorted(held.masked.items())
            ],
            "cut": [
                {"span": span, "where": where, "count": count} for (span, where), count in sorted(held.cut.items())
            ],
        },
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "error": span.error,
        "attributes": dict(span.attributes),
        "events": [
            {"name": event.name, "time_ns": event.time_ns, "attributes": dict(event.attributes)}
            for event in span.events
        ],
        "links": [
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex(), "attributes": dict(link.attributes)}
            for link in span.links
        ],
    }


def _lines(document: Mapping[str, Any], execution: Mapping[str, Any]) -> Iterator[str]:
    number, held = execution["execution"], execution["held_back"]
    is_sent = "is sent" if execution["is_sent"] else "is not sent by itself: not sampled, or telemetry is off"
    yield f"{document['run_id']}, execution {number}, trace {execution['trace_id']}: {is_sent}"
    yield from _attributes("resource", execution["resource"])
    for span in execution["spans"]:
        yield f"span {_text(span['name'])}  {span['start_ns']} to {span['end_ns']} ns"
        yield f"  span_id = {span['span_id']}, parent_span_id = {span['parent_span_id'] or 'none'}"
        if span["error"] is not None:
            yield f"  status = error: {_text(span['error'])}"
        yield from _attributes("", span["attributes"])
        for event in span["events"]:
            yield from _attributes(f"event {event['name']} at {event['time_ns']} ns", event["attributes"], "  ")
        for link in span["links"]:
            yield from _attributes(f"link to {link['trace_id']}, span {link['span_id']}", link["attributes"], "  ")
    if document["beside_spans"]:
        yield "beside spans, while it runs"
        yield from (f"  {what}" for what in document["beside_spans"])
    yield "held back"
    for name, count in held["parameters"].items():
        yield f"  values of the parameter {_text(name)}: {count}"
    for masked in held["masked"]:
        yield f"  masked ({masked['rule']}) in {masked['where']} of {_text(masked['span'])}: {masked['count']}"
    for cut in held["cut"]:
        yield f"  cut: {cut['where']} of {_text(cut['span'])}: {cut['count']}"
    if not any(held.values()):
        yield "  nothing"


def _attributes(title: str, attributes: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    if title:
        yield f"{indent}{title}"
    for key, value in attributes.items():
        yield f"{indent}  {key} = {_text(value)}"


def _text(value: Any) -> str:
    """A value on one line, with control characters escaped."""
    return json.dumps(value, ensure_ascii=False)
