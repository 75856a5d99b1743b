"""The pure function from a trace to points. It reads the spans that `spans_from_run` made, so that traces and
counters never disagree. Imports no OpenTelemetry, no Prometheus, no host, no clock.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from runlog_otel.core import semconv
from runlog_otel.core.links import trace_url
from runlog_otel.core.model import Node, Run
from runlog_otel.core.redaction import Redaction, RedactionPolicy, bounded
from runlog_otel.core.trace import Execution, Result, Span, SpanRole, Trace

_ENDS = (Result.SUCCESS, Result.FAILURE)
_FAILED = (Result.FAILURE.value, Result.TIMEOUT.value)
_MAX_MESSAGE_BYTES = 200
_STAGES = ("get", "put")

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Point:
    """An increment (counter), observation (histogram) or value (gauge) of a metric in `semconv.METRICS`.

    A histogram's `value` is `Metric.scale` times the value in the metric's unit: a duration is in nanoseconds.
    `labels` are in the metric's order, without empty ones; of `details` only the newest set is kept. Nothing changes a
    point; it is not frozen, because that makes it in 0.4 instead of 1 µs.
    """

    metric: str
    labels: Labels
    value: int | float
    at_ns: int = 0
    details: Labels = ()
    trace_id: bytes = b""
    span_id: bytes = b""


@dataclass(frozen=True, slots=True)
class ExecutionPoints:
    """The points of one complete execution of a run."""

    execution: Execution
    points: tuple[Point, ...]


_POLICY = RedactionPolicy()


def points_from_trace(
    run: Run, trace: Trace, *, by_tag: bool = False, annotations: Collection[str] = ()
) -> ExecutionPoints:
    """Map one complete execution.

    Args:
        run: the run log.
        trace: what `spans_from_run` made of the same log.
        by_tag: whether the run's tag is a label.
        annotations: names of annotated numbers that are gauges.
    """
    builder = PointBuilder(run, trace, by_tag=by_tag, annotations=annotations)
    return ExecutionPoints(trace.execution, tuple(builder.points()))


def known_points(run: Run, policy: RedactionPolicy = _POLICY, *, by_tag: bool = False) -> Iterator[Point]:
    """The series that an execution of this pipeline may add to, at zero, from its definition.

    Prometheus sees no increase when a series appears with its first failure; from zero it does.
    """
    text = Redaction(policy.patterns, run.run_id, run.header.marks).bounded
    of_run = labels_of_run(run, policy, by_tag=by_tag)
    nodes = [Node(text(node.name), text(node.kind)) for node in run.graph]
    for result, error in (
        (Result.SUCCESS, ""),
        (Result.FAILURE, semconv.STEP_FAILED),
        (Result.ERROR, semconv.ABANDONED),
        (Result.TIMEOUT, Result.TIMEOUT.value),
    ):
        labels = {
            semconv.PIPELINE_RUN_STATE: "executing",
            semconv.PIPELINE_RESULT: result.value,
            semconv.ERROR_TYPE: error,
        }
        yield _zero(semconv.RUN_DURATION, of_run | labels)
    yield _zero(semconv.RUNS_ACTIVE, of_run | {semconv.PIPELINE_RUN_STATE: "executing"})
    for node, result in product(nodes, _ENDS):
        of_step = of_run | {semconv.TASK_NAME: node.name}
        ended = {semconv.STEP_TYPE: node.kind, semconv.TASK_RESULT: result.value}
        yield _zero(semconv.STEP_RESULTS, of_step | ended)
        if result is Result.SUCCESS:  # others have labels that nobody knows before
            yield _zero(semconv.STEP_DURATION, of_step | ended)
    for node in nodes:
        yield _zero(semconv.STEP_RETRIES, of_run | {semconv.TASK_NAME: node.name})


def labels_of_run(run: Run, policy: RedactionPolicy, *, by_tag: bool) -> dict[str, str]:
    """The labels of every series of a run, sanitised; the tag is empty unless `by_tag` is set."""
    text = Redaction(policy.patterns, run.run_id, run.header.marks).bounded
    return {semconv.PIPELINE_NAME: text(run.pipeline), semconv.RUN_TAG: text(run.tag) if by_tag else ""}


class PointBuilder:
    """The mapping of one execution."""

    def __init__(self, run: Run, trace: Trace, *, by_tag: bool, annotations: Collection[str] = ()) -> None:
        self._run = run
        self._annotations = annotations
        own = (semconv.PIPELINE_NAME, semconv.RUN_TAG) if by_tag else (semconv.PIPELINE_NAME,)
        self._of_run = _of(trace.spans[0], *own)
        self._ui = trace.execution.ui
        self._spans = trace.spans
        self._by_id = {span.span_id: span for span in trace.spans}
        self._children: dict[bytes, list[Span]] = defaultdict(list)
        for span in trace.spans:
            self._children[span.parent_span_id].append(span)
        self._steps = {step.path: step for step in run.all_steps()}

    def points(self) -> Iterator[Point]:
        """The points of every span."""
        for span in self._spans:
            match span.role:
                case SpanRole.RUN:
                    yield from self._run_points(span)
                case SpanRole.STEP:
                    yield from self._step_points(span)
                case SpanRole.BRANCH:
                    yield from self._queue_times(span)
                    yield self._branch_point(span)
                case _:
                    pass

    def _run_points(self, span: Span) -> Iterator[Point]:
        labels = (
            self._of_run
            | {semconv.PIPELINE_RUN_STATE: "executing"}
            | _of(span, semconv.PIPELINE_RESULT, semconv.ERROR_TYPE)
        )
        yield _duration(semconv.RUN_DURATION, labels, span)
        if span.attributes[semconv.PIPELINE_RESULT] == Result.SUCCESS.value:
            yield _moment(semconv.LAST_SUCCESS, self._of_run, span)
        yield from self._queue_times(span)

    def _step_points(self, span: Span) -> Iterator[Point]:
        of_step = self._of_run | _of(span, semconv.TASK_NAME)
        result = str(span.attributes[semconv.TASK_RESULT])
        labels = of_step | _of(span, semconv.STEP_TYPE, semconv.TASK_RESULT)
        attempts = [child for child in self._children[span.span_id] if child.role is SpanRole.ATTEMPT]
        yield _point(semconv.STEP_RESULTS, labels, 1, span)
        if result != Result.SKIP.value:
            yield _duration(semconv.STEP_DURATION, labels | _of(span, semconv.ERROR_TYPE), span)
        if attempts:
            yield from self._attempts(of_step, attempts, has_passed=result == Result.SUCCESS.value)
        if result in _FAILED:
            yield _failure(of_step, attempts[-1] if attempts else span, self._ui)
        if result == Result.SUCCESS.value:
            path = str(span.attributes.get(semconv.TASK_RUN_ID, ""))
            items = self._steps[path].catalog if path in self._steps else ()
            for item in dict.fromkeys(items) if len(items) > 1 else items:
                stage = item.stage if item.stage in _STAGES else ""
                yield _point(semconv.CATALOG_ITEMS, of_step | {semconv.CATALOG_STAGE: stage}, 1, span)

    def _attempts(self, of_step: dict[str, str], attempts: list[Span], *, has_passed: bool) -> Iterator[Point]:
        if len(attempts) > 1:
            yield _point(semconv.STEP_RETRIES, of_step, len(attempts) - 1, attempts[-1])
        if has_passed:
            last = str(len(attempts)) if len(attempts) < semconv.MAX_ATTEMPT_LABEL else f"{semconv.MAX_ATTEMPT_LABEL}+"
            yield _point(semconv.STEP_PASSED_ON_ATTEMPT, of_step | {semconv.ATTEMPT_NUMBER: last}, 1, attempts[-1])
        for attempt in attempts:
            error = _of(attempt, semconv.ERROR_TYPE)
            yield _duration(semconv.ATTEMPT_DURATION, of_step | _of(attempt, semconv.ATTEMPT_RESULT) | error, attempt)
            if error and attempt.attributes[semconv.ATTEMPT_RESULT] != Result.CANCELLATION.value:
                yield _point(semconv.RUN_ERRORS, self._of_run | error, 1, attempt)
            yield from _user_metrics(of_step, attempt)
            yield from _resources(of_step, attempt)
            for name in self._annotations:
                if isinstance(value := attempt.attributes.get(name), bool | int | float):
                    labels = of_step | {semconv.ANNOTATION_NAME: name}
                    yield _point(semconv.ANNOTATION, labels, float(value), attempt)

    def _branch_point(self, span: Span) -> Point:
        step = self._by_id[span.parent_span_id]
        logged = self._steps.get(str(step.attributes.get(semconv.TASK_RUN_ID, "")))
        name = {} if logged is None or logged.has_iterations else _of(span, semconv.BRANCH_NAME)
        labels = (
            self._of_run | _of(step, semconv.TASK_NAME) | name | _of(span, semconv.BRANCH_RESULT, semconv.ERROR_TYPE)
        )
        return _duration(semconv.BRANCH_DURATION, labels, span)

    def _queue_times(self, graph: Span) -> Iterator[Point]:
        """The pauses before the steps of a graph, which run one after another and have a recorded start."""
        now = graph.start_ns
        children = (child for child in self._children[graph.span_id] if child.role is SpanRole.STEP)
        steps = (child for child in children if semconv.START_IS_DERIVED not in child.attributes)
        for step in sorted(steps, key=lambda step: step.start_ns):
            if step.attributes[semconv.TASK_RESULT] != Result.SKIP.value:
                labels = self._of_run | _of(step, semconv.TASK_NAME)
                yield _point(semconv.STEP_QUEUE_TIME, labels, max(0, step.start_ns - now), step)
            now = max(now, step.end_ns)


def _user_metrics(of_step: dict[str, str], attempt: Span) -> Iterator[Point]:
    prefix = semconv.prefix_of(semconv.METRIC)
    for key, value in attempt.attributes.items():
        if key.startswith(prefix) and isinstance(value, bool | int | float):
            labels = of_step | {semconv.METRIC_NAME: key.removeprefix(prefix)}
            yield _point(semconv.USER_METRIC, labels, float(value), attempt)


def _resources(of_step: dict[str, str], attempt: Span) -> Iterator[Point]:
    """What an attempt used, and what it could have used at most."""
    for attribute, metric in semconv.RESOURCES.items():
        value = attempt.attributes.get(attribute)
        if isinstance(value, int | float) and math.isfinite(value):
            scale = semconv.METRICS[metric].scale
            yield _point(metric, of_step, value if scale == 1 else round(value * scale), attempt)


def _failure(of_step: dict[str, str], failed: Span, ui: str) -> Point:
    message = str(failed.evidence.get(semconv.EXCEPTION_MESSAGE, "") or failed.error)
    details = _of(failed, semconv.ERROR_TYPE) | {
        semconv.FAILURE_TRACE_ID: failed.trace_id.hex(),
        semconv.FAILURE_TRACE_URL: trace_url(ui, failed.trace_id, interval=(failed.start_ns, failed.end_ns)),
        semconv.EXCEPTION_MESSAGE: bounded(message.partition("\n")[0], _MAX_MESSAGE_BYTES),
    }
    return _moment(semconv.STEP_LAST_FAILURE, of_step, failed, details)


def _of(span: Span, *attributes: str) -> dict[str, str]:
    return {name: str(span.attributes[name]) for name in attributes if name in span.attributes}


def labels_of(metric: str, labels: Mapping[str, str]) -> Labels:
    """Those of the labels that the metric has, in its order."""
    return _labels(semconv.METRICS[metric].labels, labels)


def _labels(names: tuple[str, ...], labels: Mapping[str, str]) -> Labels:
    """Bounded and encodable: a label that cannot be encoded would break every later scrape."""
    return tuple([(name, bounded(text)) for name in names if (text := labels.get(name))])


def _zero(metric: str, labels: Mapping[str, str]) -> Point:
    return Point(metric, labels_of(metric, labels), 0)


def _point(
    metric: str, labels: Mapping[str, str], value: int | float, span: Span, details: Mapping[str, str] | None = None
) -> Point:
    spec = semconv.METRICS[metric]
    own_details = _labels(spec.details, details) if details else ()
    return Point(metric, _labels(spec.labels, labels), value, span.end_ns, own_details, span.trace_id, span.span_id)


def _duration(metric: str, labels: Mapping[str, str], span: Span) -> Point:
    return _point(metric, labels, span.end_ns - span.start_ns, span)


def _moment(metric: str, labels: Mapping[str, str], span: Span, details: Mapping[str, str] | None = None) -> Point:
    return _point(metric, labels, span.end_ns / semconv.SECOND_NS, span, details)
