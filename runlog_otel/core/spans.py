"""The pure function from a run log to spans. Imports no OpenTelemetry, no host, no clock.

A span is built from the immutable parts of a log, attempts above all: an execution that is mapped before a retry, after
it, or years later gives the same bytes under the same ids.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from runlog_otel.core import semconv
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.failure import Failure
from runlog_otel.core.links import links_of_run
from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Attempt, Branch, CatalogItem, Run, Status, Step, Value
from runlog_otel.core.redaction import RedactionPolicy, url_without_credentials
from runlog_otel.core.trace import (
    MIN_SPAN_DURATION_NS,
    Execution,
    RawEvent,
    Result,
    Span,
    SpanFactory,
    SpanRole,
    Trace,
    times_of,
    trace_url,
)


def spans_from_run(
    run: Run,
    namespace: str = "",
    ui: str = "",
    policy: RedactionPolicy | None = None,
    *,
    is_abandoned: bool = False,
    memo: SpanMemo | None = None,
) -> list[Trace]:
    """Map a run log to one trace per execution.

    Args:
        run: the run log.
        namespace: part of every id.
        ui: base URL of Jaeger's user interface, for links.
        policy: what may be exported; by default no parameter's value.
        is_abandoned: close a last execution that has not ended; its open parts get the result `error`.
        memo: of earlier calls; it makes an export of many runs faster, and changes no span.

    Returns:
        The traces in the order of the executions, without those that have no time in the log.
    """
    timeline = timeline_of(run)
    traces = []
    for number in range(1, timeline.count + 1):
        execution = Execution(
            run.run_id, run.pipeline, number, namespace, ui, policy or RedactionPolicy(), run.header.marks
        )
        is_complete = is_abandoned or is_execution_complete(run, timeline, number)
        if spans := tuple(SpanBuilder(run, timeline, execution, is_complete=is_complete, memo=memo).spans()):
            traces.append(Trace(execution, is_complete, spans))
    return traces


def is_execution_complete(run: Run, timeline: Timeline, number: int) -> bool:
    """Whether nothing more will be recorded of an execution.

    It has a verdict, or a later one began. Where a verdict may be missing: the run's status is final, no step is in
    progress, and something failed or the run succeeded, as a retry begins with the status of the execution before.
    """
    if number < timeline.count or _verdict(timeline, run.steps, number) is not None:
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
        self, run: Run, timeline: Timeline, execution: Execution, *, is_complete: bool, memo: SpanMemo | None = None
    ) -> None:
        self._run = run
        self._timeline = timeline
        self._execution = execution
        self._number = execution.number
        self._is_last = execution.number == timeline.count
        self._is_complete = is_complete
        self._factory = SpanFactory(execution, memo)
        self._intervals: dict[int, tuple[int, int] | None] = {}
        """By the id of a step or branch, which the run keeps alive."""
        self._attempts = [a for step in run.all_steps() for a in timeline.attempts(step, execution.number)]
        self._marks = tuple({mark for attempt in self._attempts for mark in attempt.marks})

    def spans(self) -> Iterator[Span]:
        """The spans of the execution; containers only when it is complete."""
        run = self._run
        start_ns = self._timeline.starts_ns.get(self._number)
        interval = self._graph_interval(run.steps, start_ns)
        if interval is None:
            return
        verdict = _verdict(self._timeline, run.steps, self._number)
        if self._is_complete:
            yield self._run_span(interval, verdict)
        if start_ns is not None:
            yield self._factory.start_span(start_ns)
        root = self._factory.span_id(SpanRole.RUN)
        yield from self._graph_spans(run.steps, interval, root, is_closed=verdict is not None)

    def _run_span(self, interval: tuple[int, int], verdict: Result | None) -> Span:
        run, factory = self._run, self._factory
        failed = [] if verdict is Result.SUCCESS else self._failed_steps()
        result = verdict or self._result_without_verdict(bool(failed))
        error, error_type = _failure(
            result, semconv.STEP_FAILED, f"step {failed[-1].name} failed" if failed else "the run failed"
        )
        parameters = set[str]().union(
            *(names for a in self._attempts for names in (a.input_parameters, a.output_parameters))
        )
        attributes: dict[str, Value] = {
            semconv.PIPELINE_ACTION: "RUN",
            semconv.PIPELINE_RESULT: result.value,
            semconv.ERROR_TYPE: error_type,
            semconv.PIPELINE_RUN_URL: trace_url(self._execution.ui, factory.trace_id),
            semconv.RUN_HOST: run.host,
            semconv.RUN_TAG: run.tag,
            semconv.RUN_DAG_HASH: run.dag_hash,
            semconv.RUN_ORIGINAL_ID: run.original_run_id,
            semconv.RUN_USE_CACHED: run.use_cached,
            semconv.RUN_DEFINITION: run.definition,
            semconv.RUN_EXECUTOR: run.executor,
            semconv.RUN_PARAMETERS: tuple(sorted(parameters)),
            **run.attributes,
            **factory.parameters(run.input_values, run.output_values),
        }
        if self._is_adjusted(run.steps, interval, self._timeline.starts_ns.get(self._number)):
            attributes[semconv.CLOCK_IS_ADJUSTED] = True
        return factory.sanitized(
            SpanRole.RUN,
            semconv.RUN_SPAN.format(pipeline=run.pipeline),
            factory.span_id(SpanRole.RUN),
            b"",
            interval,
            attributes=attributes | self._retry_attributes(),
            events=tuple(_change_events(run, self._number, interval[1])),
            links=tuple(links_of_run(run, self._execution)),
            error=error,
            marks=self._marks,
        )

    def _failed_steps(self) -> list[Step]:
        """The failed steps of the root graph."""
        present = filter(self._is_present, self._run.steps)
        return [step for step in present if self._result(step, True) is Result.FAILURE]

    def _result_without_verdict(self, has_failed_step: bool) -> Result:
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
            interval = self._interval(step) or (min(now, last), min(now, last) + MIN_SPAN_DURATION_NS)
            step_id = self._factory.span_id(SpanRole.STEP, step.path)
            if self._is_complete:
                result = self._result(step, is_closed)
                yield self._step_span(step, attempts, interval, step_id, parent, result=result)
            for attempt in attempts:
                yield self._factory.attempt_span(step, attempt, interval[0], step_id)
            for branch in sorted(step.branches, key=self._position) if step.branches else ():
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
        shape = None
        if result is Result.SUCCESS and not self._marks:
            shape = (step.name, step.path, step.kind, step.catalog, has_derived_start)
            if span := self._factory.remembered(SpanRole.STEP, shape, span_id, parent, interval):
                return span
        attributes: dict[str, Value] = {
            semconv.TASK_NAME: step.name,
            semconv.TASK_RUN_ID: step.path,
            semconv.TASK_RESULT: result.value,
        }
        if self._execution.ui:
            attributes[semconv.TASK_RUN_URL] = trace_url(self._execution.ui, self._factory.trace_id, span_id)
        error = None
        if result is Result.FAILURE or result is Result.ERROR:
            error, attributes[semconv.ERROR_TYPE] = self._step_failure(step, attempts, result)
        attributes[semconv.STEP_TYPE] = step.kind
        if has_derived_start:
            attributes[semconv.START_IS_DERIVED] = True
        return self._factory.sanitized(
            SpanRole.STEP,
            semconv.STEP_SPAN.format(step=step.name),
            span_id,
            parent,
            interval,
            attributes=attributes,
            events=self._catalog_events(step.catalog, interval) if result is Result.SUCCESS else (),
            error=error,
            marks=self._marks,
            shape=shape,
        )

    def _step_failure(self, step: Step, attempts: Sequence[Attempt], result: Result) -> tuple[str | None, str]:
        """Status description and `error.type` of a step that did not succeed."""
        failure = self._execution.failure(attempts[-1]) if attempts else Failure(semconv.OTHER_ERROR, "")
        return _failure(
            result,
            semconv.BRANCH_FAILED if step.is_composite else failure.type,
            failure.description or ("a branch failed" if step.is_composite else "the last attempt failed"),
        )

    def _branch(self, step: Step, branch: Branch, outer: tuple[int, int], parent: bytes) -> Iterator[Span]:
        verdict = _verdict(self._timeline, branch.steps, self._number)
        interval = self._interval(branch) or (outer[0], outer[0] + MIN_SPAN_DURATION_NS)
        span_id = self._factory.span_id(SpanRole.BRANCH, branch.path)
        if self._is_complete:
            yield self._branch_span(step, branch, interval, span_id, parent, result=verdict or Result.ERROR)
        yield from self._graph_spans(branch.steps, interval, span_id, is_closed=verdict is not None)

    def _branch_span(
        self, step: Step, branch: Branch, interval: tuple[int, int], span_id: bytes, parent: bytes, *, result: Result
    ) -> Span:
        error, error_type = _failure(result, semconv.STEP_FAILED, "a step of the branch failed")
        attributes: dict[str, Value] = {
            semconv.BRANCH_NAME: branch.name,
            semconv.BRANCH_PATH: branch.path,
            semconv.BRANCH_RESULT: result.value,
            semconv.ERROR_TYPE: error_type,
        }
        if self._is_adjusted(branch.steps, interval):
            attributes[semconv.CLOCK_IS_ADJUSTED] = True
        template = semconv.ITERATION_SPAN if step.has_iterations else semconv.BRANCH_SPAN
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

    def _catalog_events(self, items: tuple[CatalogItem, ...], interval: tuple[int, int]) -> Sequence[RawEvent]:
        def event(item: CatalogItem) -> RawEvent:
            attributes = {
                semconv.CATALOG_NAME: item.name,
                semconv.CATALOG_STAGE: item.stage,
                semconv.CATALOG_HASH: item.data_hash,
                semconv.CATALOG_LOCATION: url_without_credentials(item.location),
            }
            at_ns = interval[0] if item.stage == "get" else interval[1]
            return semconv.CATALOG_EVENT, at_ns, {key: value for key, value in attributes.items() if value}

        if len(items) > 1:
            items = tuple(islice(dict.fromkeys(items), self._execution.policy.limit(semconv.MAX_ITEMS)))
        return [event(item) for item in items]

    def _retry_attributes(self) -> dict[str, Value]:
        """Why this execution is a retry: how the one before ended."""
        before = self._number - 1
        if not before:
            return {}
        verdict = _verdict(self._timeline, self._run.steps, before)
        attempts = ((step.path, self._timeline.attempts(step, before)) for step in self._run.all_steps())
        failed = sorted(path for path, own in attempts if own and own[-1].status is Status.FAIL)
        result = verdict or (Result.FAILURE if failed and self._run.ends_without_verdict else Result.ERROR)
        return {semconv.RETRY_REASON: result.value, semconv.RETRY_FAILED_STEPS: tuple(failed)}

    def _is_present(self, part: Step | Branch) -> bool:
        """Whether a part was attempted in this execution; what was never attempted is shown in the last one."""
        executions = self._timeline.executions(part)
        return self._number in executions or (self._is_last and not executions)

    def _result(self, step: Step, is_closed: bool) -> Result:
        """How a step ended in this execution; hosts never run a successful step again.

        `is_closed` says whether the graph around the step reached its verdict: if so, a step that did not succeed
        failed, else it never ended.
        """
        if attempts := self._timeline.attempts(step, self._number):
            return Result.SUCCESS if attempts[-1].status is Status.SUCCESS else Result.FAILURE
        executions = self._timeline.executions(step)
        if step.is_mock and not executions:
            return Result.SKIP
        is_later = any(later > self._number for later in executions)
        if step.branches and not is_later and all(self._has_succeeded(branch) for branch in step.branches):
            return Result.SUCCESS
        return Result.FAILURE if is_closed else Result.ERROR

    def _has_succeeded(self, branch: Branch) -> bool:
        executions = self._timeline.executions(branch)
        if executions and max(executions) < self._number:
            return True
        return _verdict(self._timeline, branch.steps, self._number) is Result.SUCCESS

    def _position(self, branch: Branch) -> tuple[float, str]:
        """The sort key of a branch: its start, as the order of the log depends on the store."""
        interval = self._interval(branch)
        return (interval[0] if interval else float("inf"), branch.path)

    def _interval(self, part: Step | Branch) -> tuple[int, int] | None:
        """Start and end of a part in this execution, computed once; None if the log has no time for it."""
        if id(part) not in self._intervals:
            self._intervals[id(part)] = (
                self._graph_interval(part.steps) if isinstance(part, Branch) else self._step_interval(part)
            )
        return self._intervals[id(part)]

    def _step_interval(self, step: Step) -> tuple[int, int] | None:
        attempts = self._timeline.attempts(step, self._number)
        if len(attempts) == 1 and not step.branches:
            return times_of(attempts[0])
        return _enclosing([times_of(attempt) for attempt in attempts] + [self._interval(b) for b in step.branches])

    def _graph_interval(self, steps: tuple[Step, ...], recorded_ns: int | None = None) -> tuple[int, int] | None:
        """Start and end of a graph: from its recorded start or its first step to its verdict.

        The verdict counts for the end only: a clock that is behind puts it before the steps.
        """
        work = _enclosing([self._interval(step) for step in steps if not step.is_terminal] + [_moment(recorded_ns)])
        verdict = _enclosing([self._interval(step) for step in steps if step.is_terminal])
        if work is None or verdict is None:
            return work or verdict
        return work[0], max(work[1], verdict[1])

    def _is_adjusted(self, steps: tuple[Step, ...], interval: tuple[int, int], recorded_ns: int | None = None) -> bool:
        """Whether a graph began before its recorded start, or its verdict is earlier than its end."""
        verdict = _enclosing([self._interval(step) for step in steps if step.is_terminal])
        return interval[0] != (recorded_ns or interval[0]) or (verdict is not None and verdict[1] < interval[1])


def _verdict(timeline: Timeline, steps: tuple[Step, ...], number: int) -> Result | None:
    """The verdict of a graph in an execution; None without one."""
    for step in steps:
        if step.is_terminal and timeline.attempts(step, number):
            return Result.SUCCESS if step.verdict is Status.SUCCESS else Result.FAILURE
    return None


def _failure(result: Result, error_type: str, description: str) -> tuple[str | None, str]:
    """Status description and `error.type` of a result."""
    if result is Result.FAILURE:
        return description, error_type
    return ("it never ended", semconv.ABANDONED) if result is Result.ERROR else (None, "")


def _moment(at_ns: int | None) -> tuple[int, int] | None:
    return None if at_ns is None else (at_ns, at_ns + MIN_SPAN_DURATION_NS)


def _enclosing(intervals: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    timed = [interval for interval in intervals if interval is not None]
    return (min(start for start, _ in timed), max(end for _, end in timed)) if timed else None


def _change_events(run: Run, number: int, at_ns: int) -> Iterator[RawEvent]:
    for changes in run.header.changes:
        if changes.execution != number:
            continue
        attributes: dict[str, Value] = {
            semconv.CHANGES_SINCE: changes.since,
            semconv.CHANGES_REVISION_BEFORE: changes.revision_before,
            semconv.CHANGES_REVISION: changes.revision,
            semconv.CHANGES_PARAMETERS: changes.parameters,
            semconv.CHANGES_FILES: changes.files,
        }
        yield semconv.CHANGES_EVENT, at_ns, {key: value for key, value in attributes.items() if value}
