"""What tools say of one execution of a run: an overview, and its steps one by one. Pure: it reads sanitised spans."""

from collections.abc import Iterator, Mapping
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.diagnosis import document_of
from runlog_otel.core.execution_record import ExecutionRecord, ParameterRecord, Part
from runlog_otel.core.trace import Span, SpanRole, Trace
from runlog_otel.mcp_server.documents import Names

RUNNING = "running"
_RESULTS = (semconv.PIPELINE_RESULT, semconv.TASK_RESULT, semconv.BRANCH_RESULT, semconv.ATTEMPT_RESULT)
_PATHS = (semconv.STEP_PATH, semconv.TASK_RUN_ID)
_USAGE = {
    semconv.CPU_TIME: "cpu_time_s",
    semconv.MEMORY_PEAK: "memory_peak_bytes",
    semconv.IO_READ: "io_read_bytes",
    semconv.IO_WRITE: "io_write_bytes",
}
_VALUES = {
    "metrics": semconv.prefix_of(semconv.METRIC),
    "inputs": semconv.prefix_of(semconv.INPUT_VALUE),
    "outputs": semconv.prefix_of(semconv.OUTPUT_VALUE),
}
_IN_SUMMARY = {
    semconv.PIPELINE_NAME,
    semconv.PIPELINE_RUN_ID,
    semconv.PIPELINE_RESULT,
    semconv.RUN_TAG,
    semconv.EXECUTION,
}


def summary(record: ExecutionRecord) -> dict[str, Any]:
    """An execution in a few fields."""
    return {**document_of(record.summary), "result": record.result if record.is_complete else RUNNING}


def overview(record: ExecutionRecord, trace: Trace) -> dict[str, Any]:
    """An execution: one entry for each step of the graph, the failures, and what its code recorded."""
    root = trace.spans[0]
    attributes = {name: value for name, value in root.attributes.items() if name not in _IN_SUMMARY}
    return {
        "run": summary(record),
        "attributes": Names(attributes),
        "inputs": _parameters(record.inputs),
        "outputs": _parameters(record.returned),
        "steps": [_step(record, key) for key in record.steps],
        "failures": [_failure(part) for part in record.parts if part.role is SpanRole.ATTEMPT],
        "recorded": list(_recorded(trace)),
    }


def step_rows(trace: Trace, *, is_complete: bool, step: str = "", result: str = "") -> list[dict[str, Any]]:
    """The steps of an execution with their attempts, depth first in the order of the log.

    Args:
        trace: its spans.
        is_complete: whether it has ended; if not, what did not end is running.
        step: only those of this name or path.
        result: only those that ended so.
    """
    depths = {trace.spans[0].span_id: 0}
    rows: dict[bytes, dict[str, Any]] = {}
    for span in trace.spans[1:]:
        depths[span.span_id] = depths.get(span.parent_span_id, 0) + 1
        if span.role is SpanRole.STEP:
            rows[span.span_id] = _row(span, depths[span.span_id], is_complete=is_complete)
        elif span.role is SpanRole.ATTEMPT and span.parent_span_id in rows:
            rows[span.parent_span_id]["attempts"].append(_attempt(span))
    return [
        row
        for row in rows.values()
        if step in ("", row["name"], row["path"]) and (not result or row["result"] == result)
    ]


def metrics_of(trace: Trace) -> Iterator[tuple[str, str, Any]]:
    """What the code measured: path of the step, name, value."""
    for span in trace.spans:
        if span.role is SpanRole.ATTEMPT:
            for name, value in _values(span, _VALUES["metrics"]).items():
                yield _first(span, _PATHS), name, value


def with_units(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What was used, by names with units."""
    return {short: usage[name] for name, short in _USAGE.items() if name in usage}


def _step(record: ExecutionRecord, key: str) -> dict[str, Any]:
    step = record.steps[key]
    return _without_empty(
        {
            "place": key,
            "kind": step.kind,
            "count": step.count,
            "results": dict(step.results),
            "after_ns": step.start_ns - record.start_ns,
            "duration_ns": step.duration_ns,
            "retried": step.retried or None,
            "usage": with_units(step.usage),
        }
    )


def _failure(part: Part) -> dict[str, Any]:
    evidence = part.evidence
    return _without_empty(
        {
            "path": part.path,
            "attempt": part.attempt,
            "at_ns": part.end_ns,
            "error_type": part.error_type,
            "message": evidence.message if evidence else part.description,
            "stacktrace": evidence.stacktrace if evidence else "",
            "fingerprint": evidence.fingerprint.id if evidence else "",
            "survived_by": part.survived_by,
        }
    )


def _recorded(trace: Trace) -> Iterator[dict[str, Any]]:
    """What the code of attempts recorded."""
    for span in trace.spans:
        if span.role is SpanRole.ATTEMPT and (said := _said(span)):
            yield {"path": _first(span, _PATHS), "attempt": span.attributes.get(semconv.ATTEMPT_NUMBER), **said}


def _said(span: Span) -> dict[str, Any]:
    own = span.events[:-1] if span.evidence else span.events
    return _without_empty(
        {
            "annotations": Names({name: value for name, value in span.attributes.items() if semconv.is_free(name)}),
            "metrics": _values(span, _VALUES["metrics"]),
            "events": [
                {"name": event.name, "at_ns": event.time_ns, "attributes": Names(event.attributes)} for event in own
            ],
        }
    )


def _row(span: Span, depth: int, *, is_complete: bool) -> dict[str, Any]:
    is_open = span.attributes.get(semconv.ERROR_TYPE) == semconv.ABANDONED and not is_complete
    return {
        "path": _first(span, _PATHS),
        "name": str(span.attributes.get(semconv.TASK_NAME, "")),
        "kind": str(span.attributes.get(semconv.STEP_TYPE, "")),
        "depth": depth,
        "result": RUNNING if is_open else _first(span, _RESULTS),
        "start_ns": span.start_ns,
        "duration_ns": span.end_ns - span.start_ns,
        "attempts": [],
    }


def _attempt(span: Span) -> dict[str, Any]:
    evidence = span.evidence
    return _without_empty(
        {
            "attempt": span.attributes.get(semconv.ATTEMPT_NUMBER),
            "result": _first(span, _RESULTS),
            "duration_ns": span.end_ns - span.start_ns,
            "usage": with_units(span.attributes),
            "inputs": _values(span, _VALUES["inputs"]),
            "outputs": _values(span, _VALUES["outputs"]),
            **_said(span),
            "error_type": span.attributes.get(semconv.ERROR_TYPE),
            "message": span.error,
            "stacktrace": evidence.get(semconv.EXCEPTION_STACKTRACE),
        }
    )


def _values(span: Span, prefix: str) -> Names:
    return Names(
        {name.removeprefix(prefix): value for name, value in span.attributes.items() if name.startswith(prefix)}
    )


def _parameters(parameters: Mapping[str, ParameterRecord]) -> Names:
    """What may be shown of their values; null where that is nothing."""
    return Names({name: parameter.shown or None for name, parameter in parameters.items()})


def _first(span: Span, names: tuple[str, ...]) -> str:
    return next((str(span.attributes[name]) for name in names if name in span.attributes), "")


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", {}, [])}
