"""The pure function from a run log to spans. Imports no OpenTelemetry, no host, no clock.

A span is built from the immutable parts of a log, attempts above all: an execution that is mapped before a retry, after
it, or years later gives the same bytes under the same ids.
"""

from collections.abc import Iterator, Sequence

from runlog_otel.core import semconv
from runlog_otel.core.attributes import exception_event, vcs_attributes
from runlog_otel.core.critical_path import critical_intervals
from runlog_otel.core.endings import interval_of_execution, noted_ending, open_end_of
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.intervals import MIN_SPAN_DURATION_NS, Intervals
from runlog_otel.core.links import links_of_run, trace_url
from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Attempt, Branch, Run, Status, Step, Value
from runlog_otel.core.redaction import RedactionPolicy
from runlog_otel.core.run_events import catalog_events, change_events
from runlog_otel.core.trace import (
    Execution,
    Result,
    Span,
    SpanFactory,
    SpanRole,
    Trace,
    execution_of,
    result_of,
)

_HARMLESS = (Result.SUCCESS, Result.SKIP)


def spans_from_run(
    run: Run,
    namespace: str = "",
    ui: str = "",
    policy: RedactionPolicy | None = None,
    *,
    is_abandoned: bool = False,
    iteration_names: bool = False,
    memo: SpanMemo | None = None,
) -> list[Trace]:
    """Map a run log to one trace per execution.

    Args:
        run: the run log.
        namespace: part of every id.
        ui: where the pages of traces are (`links.trace_url`).
        policy: what may be exported; by default no parameter's value.
        is_abandoned: close a last execution that has not ended; its open parts get the result `error`.
        iteration_names: whether the spans of a map's or loop's branches are named by their values.
        memo: of earlier calls; it makes an export of many runs faster, and changes no span.

    Returns:
        The traces in the order of the executions, without those that have no time in the log.
    """
    timeline = timeline_of(run)
    traces = []
    for number in range(1, timeline.count + 1):
        execution = execution_of(run, number, namespace, ui, policy)
        is_complete = is_abandoned or is_execution_complete(run, timeline, number)
        builder = SpanBuilder(
            run, timeline, execution, is_complete=is_complete, iteration_names=iteration_names, memo=memo
        )
        if spans := tuple(builder.spans()):
            traces.append(Trace(execution, is_complete, spans))
    return traces


def is_execution_complete(run: Run, timeline: Timeline, number: int) -> bool:
    """Whether nothing more will be recorded of an execution.

    It has a verdict, its end was noted, or a later one began. Where a verdict may be missing: the run's status is
    final, no step is in progress, and something failed or the run succeeded, as a retry begins with the status of the
    execution before.
    """
    if number < timeline.count or _verdict(timeline, run.steps, number) or noted_ending(run.header, number):
        return True
    is_over = run.status.is_final and all(step.status.is_final for step in run.all_steps())
    if not (is_over and run.ends_without_verdict):
        return False
    return (
        not run.steps
        or run.status is Status.SUCCESS
        or any(attempt.status is Status.FAIL for step in run.all_steps() for attempt in timeline.attempts(step, number))
    )


class SpanBuilder:
    """The mapping of one execution of one run."""

    def __init__(
        self,
        run: Run,
        timeline: Timeline,
        execution: Execution,
        *,
        is_complete: bool,
        iteration_names: bool = False,
        memo: SpanMemo | None = None,
    ) -> None:
        self._run = run
        self._timeline = timeline
        self._execution = execution
        self._number = execution.number
        self._is_last = execution.number == timeline.count
        self._is_complete = is_complete
        self._factory = SpanFactory(execution, memo)
        self._iteration_names = iteration_names
        self._intervals = Intervals(timeline, execution.number)
        self._critical: frozenset[str] = frozenset()
        """The paths of the steps of the critical path; none while the execution is not complete."""
        self._open_end = open_end_of(run.header, execution)
        self._attempts = [a for step in run.all_steps() for a in timeline.attempts(step, execution.number)]
        self._marks = tuple({mark for attempt in self._attempts for mark in attempt.marks})

    def spans(self) -> Iterator[Span]:
        """The spans of the execution; containers only when it is complete."""
        run = self._run
        start_ns = self._timeline.starts_ns.get(self._number)
        verdict = _verdict(self._timeline, run.steps, self._number)
        interval = interval_of_execution(run, self._timeline, self._number, self._intervals)
        if interval is None:
            return
        if self._is_complete:
            critical = critical_intervals(run.steps, self._intervals, interval[0])
            self._critical = frozenset([step.path for step, _ in critical])
            yield self._run_span(interval, verdict)
        if start_ns is not None:
            yield self._factory.start_span(start_ns)
        root = self._factory.span_id(SpanRole.RUN)
        yield from self._graph_spans(run.steps, interval, root, is_closed=verdict is not None)

    def _run_span(self, interval: tuple[int, int], verdict: Result | None) -> Span:
        run, factory = self._run, self._factory
        failed = [] if verdict is Result.SUCCESS else self._failed_steps()
        result = verdict or self._result_without_verdict(bool(failed))
        why = f"step {failed[-1].name} failed" if failed else "the run failed"
        error, error_type = self._failure(result, semconv.STEP_FAILED, why)
        events = list(change_events(run, self._number, interval[1]))
        if verdict is None and (failure := self._open_end.failure):
            error = failure.description or error
            events.append(exception_event(failure, interval[1]))
        parameters = set[str]().union(
            *(names for a in self._attempts for names in (a.input_parameters, a.output_parameters))
        )
        attributes: dict[str, Value] = {
            semconv.PIPELINE_ACTION: "RUN",
            semconv.PIPELINE_RESULT: result.value,
            semconv.ERROR_TYPE: error_type,
            semconv.PIPELINE_RUN_URL: trace_url(self._execution.ui, factory.trace_id, interval=interval),
            semconv.RUN_HOST: run.host,
            semconv.RUN_TAG: run.tag,
            semconv.RUN_DAG_HASH: run.dag_hash,
            semconv.RUN_ORIGINAL_ID: run.original_run_id,
            semconv.RUN_USE_CACHED: run.use_cached,
            semconv.RUN_DEFINITION: run.definition,
            semconv.RUN_EXECUTOR: run.executor,
            semconv.RUN_PARAMETERS: tuple(sorted(parameters)),
            **run.attributes,
            **vcs_attributes(code for attempt in self._attempts for code in attempt.code),
            **(run.header.facts if self._number == 1 else {}),  # nobody noted who started a retry
            **factory.parameters(run.input_values, run.output_values),
        }
        if self._intervals.is_adjusted(run.steps, interval, self._timeline.starts_ns.get(self._number)):
            attributes[semconv.CLOCK_IS_ADJUSTED] = True
        return factory.sanitized(
            SpanRole.RUN,
            semconv.RUN_SPAN.format(pipeline=run.pipeline),
            factory.span_id(SpanRole.RUN),
            self._execution.caller.span_id if self._execution.caller else b"",
            interval,
            attributes=attributes | self._retry_attributes(),
            events=events,
            links=tuple(links_of_run(run, self._execution)),
            error=error,
            marks=self._marks,
        )

    def _failed_steps(self) -> list[Step]:
        """The failed steps of the root graph."""
        present = filter(self._is_present, self._run.steps)
        return [step for step in present if self._result(step, True) not in _HARMLESS]

    def _result_without_verdict(self, has_failed_step: bool) -> Result:
        if self._open_end.at_ns is not None:
            return self._open_end.result
        if not self._run.ends_without_verdict:
            return Result.ERROR
        if has_failed_step or (self._run.status is Status.FAIL and not self._run.steps):
            return Result.FAILURE
        return Result.SUCCESS if self._run.status is Status.SUCCESS else Result.ERROR

    def _graph_spans(
        self, steps: tuple[Step, ...], outer: tuple[int, int], parent: bytes, *, is_closed: bool
    ) -> Iterator[Span]:
        """The spans of a graph: steps one after another; a step without times begins where the one before ended."""
        now, last = outer[0], outer[1] - MIN_SPAN_DURATION_NS
        for step in steps:
            attempts = self._timeline.attempts(step, self._number)
            if step.is_terminal or not (attempts or self._is_present(step)):
                continue
            interval = self._intervals.of(step) or (min(now, last), min(now, last) + MIN_SPAN_DURATION_NS)
            step_id = self._factory.span_id(SpanRole.STEP, step.path)
            if self._is_complete:
                result = self._result(step, is_closed)
                yield self._step_span(step, attempts, interval, step_id, parent, result=result)
            for attempt in attempts:
                yield self._factory.attempt_span(step, attempt, interval[0], step_id)
            for branch in sorted(step.branches, key=self._intervals.position) if step.branches else ():
                if self._is_present(branch):
                    yield from self._branch(step, branch, interval, step_id)
            now = max(now, interval[1])

    def _step_span(
        self,
        step: Step,
        attempts: Sequence[Attempt],
        interval: tuple[int, int],
        span_id: bytes,
        parent: bytes,
        *,
        result: Result,
    ) -> Span:
        has_derived_start = bool(attempts) and attempts[-1].is_start_derived
        is_critical = step.path in self._critical
        shape = None
        if result is Result.SUCCESS and not self._marks:
            shape = (step.name, step.path, step.kind, step.catalog, has_derived_start, is_critical)
            if span := self._factory.remembered(SpanRole.STEP, shape, span_id, parent, interval):
                return span
        attributes: dict[str, Value] = {
            semconv.TASK_NAME: step.name,
            semconv.TASK_RUN_ID: step.path,
            semconv.TASK_RESULT: result.value,
        }
        if self._execution.ui:
            ids = (self._factory.trace_id, span_id)
            attributes[semconv.TASK_RUN_URL] = trace_url(self._execution.ui, *ids, interval)
        error = None
        if result not in _HARMLESS:
            error, attributes[semconv.ERROR_TYPE] = self._step_failure(step, attempts, result)
        attributes[semconv.STEP_TYPE] = step.kind
        if is_critical:
            attributes[semconv.STEP_IS_CRITICAL] = True
        if has_derived_start:
            attributes[semconv.START_IS_DERIVED] = True
        return self._factory.sanitized(
            SpanRole.STEP,
            semconv.STEP_SPAN.format(step=step.name),
            span_id,
            parent,
            interval,
            attributes=attributes,
            events=(catalog_events(step.catalog, interval, self._execution.policy) if result is Result.SUCCESS else ()),
            error=error,
            marks=self._marks,
            shape=shape,
        )

    def _step_failure(self, step: Step, attempts: Sequence[Attempt], result: Result) -> tuple[str | None, str]:
        """Status description and `error.type` of a step that did not succeed."""
        type_, description = semconv.OTHER_ERROR, "the last attempt failed"
        if step.is_composite:
            type_, description = semconv.BRANCH_FAILED, "a branch failed"
        if not attempts:
            return self._failure(result, type_, description)
        failure = self._execution.failure(attempts[-1])
        return failure.description or description, type_ if step.is_composite else failure.type

    def _branch(self, step: Step, branch: Branch, outer: tuple[int, int], parent: bytes) -> Iterator[Span]:
        verdict = _verdict(self._timeline, branch.steps, self._number)
        interval = self._intervals.of(branch) or (outer[0], outer[0] + MIN_SPAN_DURATION_NS)
        span_id = self._factory.span_id(SpanRole.BRANCH, branch.path)
        if self._is_complete:
            yield self._branch_span(step, branch, interval, span_id, parent, result=verdict or self._open_end.result)
        yield from self._graph_spans(branch.steps, interval, span_id, is_closed=verdict is not None)

    def _branch_span(
        self, step: Step, branch: Branch, interval: tuple[int, int], span_id: bytes, parent: bytes, *, result: Result
    ) -> Span:
        error, error_type = self._failure(result, semconv.STEP_FAILED, "a step of the branch failed")
        attributes: dict[str, Value] = {
            semconv.BRANCH_NAME: branch.name,
            semconv.BRANCH_PATH: branch.path,
            semconv.BRANCH_RESULT: result.value,
            semconv.ERROR_TYPE: error_type,
        }
        if self._intervals.is_adjusted(branch.steps, interval):
            attributes[semconv.CLOCK_IS_ADJUSTED] = True
        has_value = step.has_iterations and not self._iteration_names
        template = semconv.ITERATION_SPAN if has_value else semconv.BRANCH_SPAN
        return self._factory.sanitized(
            SpanRole.BRANCH,
            template.format(step=step.name, branch=branch.name),
            span_id,
            parent,
            interval,
            attributes=attributes,
            error=error,
            marks=self._marks,
        )

    def _retry_attributes(self) -> dict[str, Value]:
        """Why this execution is a retry: how the one before ended."""
        before = self._number - 1
        if not before:
            return {}
        verdict = _verdict(self._timeline, self._run.steps, before)
        attempts = ((step.path, self._timeline.attempts(step, before)) for step in self._run.all_steps())
        failed = sorted(path for path, own in attempts if own and own[-1].status is Status.FAIL)
        ending = noted_ending(self._run.header, before)
        result = verdict or (Result.FAILURE if failed and self._run.ends_without_verdict else Result.ERROR)
        return {
            semconv.RETRY_REASON: ending.result if ending and verdict is None else result.value,
            semconv.RETRY_FAILED_STEPS: tuple(failed),
        }

    def _is_present(self, part: Step | Branch) -> bool:
        """Whether a part was attempted in this execution, or in progress when its end was noted.

        Without such a note, what was never attempted is shown in the last execution.
        """
        executions = self._timeline.executions(part)
        if self._number in executions:
            return True
        if self._open_end.at_ns is None:
            return self._is_last and not executions
        if isinstance(part, Branch):
            return any(map(self._is_present, part.steps))
        return part.path in self._open_end.steps

    def _result(self, step: Step, is_closed: bool) -> Result:
        """How a step ended in this execution; hosts never run a successful step again.

        `is_closed` says whether the graph around the step reached its verdict: if so, a step that did not succeed
        failed, else it never ended.
        """
        if attempts := self._timeline.attempts(step, self._number):
            return result_of(attempts[-1])
        executions = self._timeline.executions(step)
        if step.is_mock and not executions:
            return Result.SKIP
        is_later = any(later > self._number for later in executions)
        if step.branches and not is_later and all(self._has_succeeded(branch) for branch in step.branches):
            return Result.SUCCESS
        return Result.FAILURE if is_closed else self._open_end.result

    def _failure(self, result: Result, error_type: str, description: str) -> tuple[str | None, str]:
        """Status description and `error.type` of a part that has no attempt of its own."""
        if result in _HARMLESS:
            return None, ""
        if result is Result.FAILURE:
            return description, error_type
        return self._open_end.description, self._open_end.error_type

    def _has_succeeded(self, branch: Branch) -> bool:
        executions = self._timeline.executions(branch)
        if executions and max(executions) < self._number:
            return True
        return _verdict(self._timeline, branch.steps, self._number) is Result.SUCCESS


def _verdict(timeline: Timeline, steps: tuple[Step, ...], number: int) -> Result | None:
    """The verdict of a graph in an execution; None without one."""
    for step in steps:
        if step.is_terminal and timeline.attempts(step, number):
            return Result.SUCCESS if step.verdict is Status.SUCCESS else Result.FAILURE
    return None
