"""What the pages of pipelines and comparisons need of a run: small enough to be remembered. Pure.

It is made of spans, so it holds nothing that may not be shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runlog_otel.core import semconv
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.model import Run
from runlog_otel.core.points import points_from_trace
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.trace import SpanRole, Trace

_MAX_MEASURED = 200


@dataclass(frozen=True, slots=True)
class RunDigest:
    """A run by its last execution."""

    record: ExecutionRecord
    earlier: tuple[ExecutionRecord, ...]
    """The executions before."""
    measured: Mapping[tuple[str, str], float]
    """What its code measured: the last number by step and name of the metric or annotation."""
    queued_ns: Mapping[str, int]
    """By step: the longest time from the end of the step before it to its start, in nanoseconds."""


def digest_of(run: Run, traces: Sequence[Trace]) -> RunDigest | None:
    """The digest; None if the log has no time for any execution.

    Args:
        run: the run.
        traces: its spans, as `spans_from_run` makes them with `is_abandoned`.
    """
    if not traces:
        return None
    *earlier, last = records_of(run, traces)
    annotated = {
        name
        for span in traces[-1].spans
        if span.role is SpanRole.ATTEMPT
        for name, value in span.attributes.items()
        if isinstance(value, int | float) and semconv.is_free(name)
    }
    measured: dict[tuple[str, str], float] = {}
    queued: dict[str, int] = {}
    for point in points_from_trace(run, traces[-1], annotations=annotated).points:
        labels = dict(point.labels)
        step = labels.get(semconv.TASK_NAME, "")
        match point.metric:
            case semconv.USER_METRIC:
                measured[step, labels[semconv.METRIC_NAME]] = float(point.value)
            case semconv.ANNOTATION:
                measured[step, labels[semconv.ANNOTATION_NAME]] = float(point.value)
            case semconv.STEP_QUEUE_TIME:
                queued[step] = max(queued.get(step, 0), int(point.value))
    kept = dict(list(measured.items())[:_MAX_MEASURED])
    return RunDigest(last, tuple(earlier), kept, queued)
