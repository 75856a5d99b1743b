"""Maps an execution to the record that diagnosis and comparison read."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from math import isfinite

from runlog_otel.core import semconv
from runlog_otel.core.attributes import json_text
from runlog_otel.core.execution_record import (
    HARMLESS,
    ITERATION,
    USAGE,
    Evidence,
    ExecutionRecord,
    ParameterRecord,
    Part,
    StepRecord,
)
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.failure import STACKTRACE_BYTES, Failure, failure_from_message
from runlog_otel.core.fingerprint import fingerprint_of
from runlog_otel.core.model import ITERATED_KINDS, Attempt, Run, SecretFingerprint, Status, Step
from runlog_otel.core.redaction import bounded
from runlog_otel.core.spans import is_execution_complete
from runlog_otel.core.trace import Execution, Result, Span, SpanFactory, SpanRole, Trace

_RESULTS = (semconv.TASK_RESULT, semconv.BRANCH_RESULT, semconv.PIPELINE_RESULT, semconv.ATTEMPT_RESULT)
_OF_CODE = (
    *(semconv.VCS_REVISION, semconv.CODE_IS_CLEAN, semconv.VCS_REPOSITORY),
    *(semconv.IMAGE_ID, semconv.IMAGE_NAME, semconv.IMAGE_TAGS, semconv.IMAGE_DIGEST),
)
_OF_RUN = (
    *(semconv.RUN_DEFINITION, semconv.RUN_DAG_HASH, semconv.RUN_EXECUTOR, semconv.RUN_HOST),
    *(semconv.VCS_REF_NAME, semconv.VCS_REVISION, semconv.CODE_IS_CLEAN, semconv.VCS_REPOSITORY),
)
_MAX_MESSAGE_BYTES = 500
_MAX_VALUE_BYTES = 200
_MAX_FAILURES = 10_000


def records_of(run: Run, traces: Sequence[Trace]) -> list[ExecutionRecord]:
    """The records of a run's executions, in their order.

    Args:
        run: the run.
        traces: its spans, as `spans_from_run` makes them with `is_abandoned`.
    """
    timeline = timeline_of(run)
    return [
        _RecordBuilder(run, trace, timeline).record(is_execution_complete(run, timeline, trace.execution.number))
        for trace in traces
    ]


class _RecordBuilder:
    def __init__(self, run: Run, trace: Trace, timeline: Timeline) -> None:
        self._run, self._trace, self._timeline = run, trace, timeline
        self._execution: Execution = trace.execution
        self._factory = SpanFactory(trace.execution)
        self._root = trace.spans[0]
        self._spans = {span.span_id: span for span in trace.spans}
        self._marks = tuple({m for step in run.all_steps() for a in step.attempts for m in a.marks})
        self._text = self._execution.redaction(self._marks).bounded
        self._keys: dict[bytes, str] = {self._root.span_id: ""}
        self._children: dict[bytes, list[Span]] = defaultdict(list)
        for span in trace.spans[1:]:
            if span.role is not SpanRole.START:
                self._children[span.parent_span_id].append(span)
                self._keys[span.span_id] = self._key(span)

    def record(self, is_complete: bool) -> ExecutionRecord:
        root, run = self._root, self._run
        inputs, returned = self._parameters()
        changes = next((event.attributes for event in root.events if event.name == semconv.CHANGES_EVENT), {})
        ran = (step.name for step in run.all_steps() if not step.is_terminal and self._has_run(step))
        return ExecutionRecord(
            run_id=str(root.attributes.get(semconv.PIPELINE_RUN_ID, "")),
            pipeline=str(root.attributes.get(semconv.PIPELINE_NAME, "")),
            tag=str(root.attributes.get(semconv.RUN_TAG, "")),
            execution=self._execution.number,
            executions=self._timeline.count,
            trace_id=root.trace_id.hex(),
            result=str(root.attributes[semconv.PIPELINE_RESULT]),
            is_complete=is_complete,
            start_ns=root.start_ns,
            end_ns=root.end_ns,
            error_type=str(root.attributes.get(semconv.ERROR_TYPE, "")),
            description=bounded(root.error or "", _MAX_MESSAGE_BYTES),
            steps={step.key: step for step in sorted(self._steps(), key=lambda step: (step.start_ns, step.key))},
            parts=tuple(sorted(self._parts(), key=lambda part: (part.end_ns, part.path, part.role.value))),
            ending=self._ending(),
            pauses_ns=self._pauses_ns(),
            names=frozenset(map(self._text, ran)),
            nodes=tuple(dict.fromkeys(self._text(node.name) for node in run.graph)),
            code={name: _shown(root.attributes[name]) for name in _OF_RUN if name in root.attributes},
            inputs=inputs,
            returned=returned,
            catalog=self._catalog(),
            changes={name: value if isinstance(value, tuple) else (str(value),) for name, value in changes.items()},
        )

    def _key(self, span: Span) -> str:
        """The place of a step, branch or attempt in the graph."""
        parent = self._spans[span.parent_span_id]
        outer = self._keys[parent.span_id]
        if span.role is SpanRole.ATTEMPT:
            return outer
        name = str(span.attributes.get(semconv.TASK_NAME, span.attributes.get(semconv.BRANCH_NAME, "")))
        if span.role is SpanRole.BRANCH and parent.attributes.get(semconv.STEP_TYPE) in ITERATED_KINDS:
            name = ITERATION
        return f"{outer}/{name}" if outer else name

    def _has_run(self, step: Step) -> bool:
        executions = self._timeline.executions(step)
        return any(number <= self._execution.number for number in executions) or not step.status.is_final

    def _steps(self) -> Iterator[StepRecord]:
        groups: dict[str, list[Span]] = defaultdict(list)
        for span in self._trace.spans:
            if span.role is SpanRole.STEP:
                groups[self._keys[span.span_id]].append(span)
        for key, spans in groups.items():
            attempts = {span.span_id: self._attempts(span) for span in spans}
            flat = [attempt for own in attempts.values() for attempt in own]
            results: dict[str, int] = defaultdict(int)
            for span in spans:
                results[_result(span)] += 1
            yield StepRecord(
                key=key,
                name=str(spans[0].attributes.get(semconv.TASK_NAME, "")),
                kind=str(spans[0].attributes.get(semconv.STEP_TYPE, "")),
                count=len(spans),
                start_ns=min(span.start_ns for span in spans),
                duration_ns=max(span.end_ns - span.start_ns for span in spans),
                results=dict(sorted(results.items())),
                retried=sum(_result(s) == Result.SUCCESS.value and len(attempts[s.span_id]) > 1 for s in spans),
                usage=_usage(flat),
                code=_common_code(flat),
            )

    def _attempts(self, step: Span) -> list[Span]:
        return [child for child in self._children[step.span_id] if child.role is SpanRole.ATTEMPT]

    def _parts(self) -> Iterator[Part]:
        logged = self._failed_attempts()
        bad = [span for span in self._trace.spans[1:] if span.role is not SpanRole.START and not _is_harmless(span)]
        around = {span.parent_span_id for span in bad}
        around_branches = {span.parent_span_id for span in bad if span.role is SpanRole.BRANCH}
        for span in sorted(bad, key=lambda span: (span.end_ns, span.span_id))[:_MAX_FAILURES]:
            is_around = (
                span.parent_span_id in around_branches if span.role is SpanRole.ATTEMPT else span.span_id in around
            )
            yield self._part(span, logged.get(span.span_id), has_failed_inside=is_around)

    def _part(self, span: Span, logged: Attempt | None, *, has_failed_inside: bool) -> Part:
        names = (semconv.STEP_PATH, semconv.TASK_RUN_ID, semconv.BRANCH_PATH)
        titles = (semconv.STEP_NAME, semconv.TASK_NAME, semconv.BRANCH_NAME)
        is_step = span.role is SpanRole.STEP
        return Part(
            role=span.role,
            path=_first(span, names),
            step=_first(span, titles),
            key=self._keys[span.span_id],
            result=_result(span),
            start_ns=span.start_ns,
            end_ns=span.end_ns,
            error_type=str(span.attributes.get(semconv.ERROR_TYPE, "")),
            description=bounded(span.error or "", _MAX_MESSAGE_BYTES),
            has_failed_inside=has_failed_inside,
            is_open=is_step and _result(span) != Result.FAILURE.value and not self._attempts(span),
            survived_by=self._survived_by(span),
            attempt=int(span.attributes.get(semconv.ATTEMPT_NUMBER, 0)),  # type: ignore[arg-type]
            evidence=self._evidence(logged, span) if logged else None,
        )

    def _survived_by(self, span: Span) -> str:
        while (parent := self._spans.get(span.parent_span_id)) is not None:
            if _result(parent) == Result.SUCCESS.value:
                return parent.role.value
            span = parent
        return ""

    def _failed_attempts(self) -> dict[bytes, Attempt]:
        """The failed attempts of the log, by their span's id: they hold more of a traceback than spans do."""
        return {
            self._execution.span_id(SpanRole.ATTEMPT, step.path, attempt.number, attempt.repeat): attempt
            for step in self._run.all_steps()
            if not step.is_terminal
            for attempt in self._timeline.attempts(step, self._execution.number)
            if attempt.status is not Status.SUCCESS
        }

    def _evidence(self, attempt: Attempt, span: Span) -> Evidence:
        failure = self._failure(attempt.message, attempt.marks)
        error_type = str(span.attributes.get(semconv.ERROR_TYPE, failure.type))
        return _evidence(failure._replace(type=error_type), self._text(str(span.attributes.get(semconv.STEP_NAME, ""))))

    def _ending(self) -> Evidence | None:
        endings = self._run.header.endings
        noted = next((ending for ending in endings if ending.execution == self._execution.number), None)
        if noted is None or _is_harmless(self._root):
            return None
        failure = self._failure(noted.message) if noted.message else Failure(noted.result, "")
        return _evidence(failure._replace(type=str(self._root.attributes.get(semconv.ERROR_TYPE, failure.type))), "")

    def _failure(self, message: str, marks: tuple[SecretFingerprint, ...] = ()) -> Failure:
        return failure_from_message(message, self._execution.redaction((*self._marks, *marks)), STACKTRACE_BYTES)

    def _pauses_ns(self) -> int:
        """The time of the run in which no step of the root graph ran."""
        steps = sorted((child.start_ns, child.end_ns) for child in self._children[self._root.span_id])
        now, pauses = self._root.start_ns, 0
        for start_ns, end_ns in steps:
            pauses += max(0, start_ns - now)
            now = max(now, end_ns)
        return pauses + max(0, self._root.end_ns - now)

    def _parameters(self) -> tuple[dict[str, ParameterRecord], dict[str, ParameterRecord]]:
        """What the run began with, and what its steps returned until now; the values of iterations are left out."""
        run = self._run
        inputs, returned = self._values(run.input_values, ()), self._values(run.output_values, ())
        attempts = sorted(self._plain_attempts(run.steps), key=lambda pair: (pair[1].start_ns or 0, pair[0]))
        for at, (_, attempt) in enumerate(attempts):
            if at == 0:
                inputs |= self._values(attempt.input_values, attempt.marks)
            returned |= self._values(attempt.output_values, attempt.marks)
        return inputs, returned

    def _plain_attempts(self, steps: Iterable[Step]) -> Iterator[tuple[str, Attempt]]:
        """The attempts outside of iterations, in this execution and those before, with their step's path."""
        for step in steps:
            for index, attempt in enumerate(() if step.is_terminal else step.attempts):
                if self._timeline.numbers[step.path, index] <= self._execution.number:
                    yield step.path, attempt
            for branch in () if step.has_iterations else step.branches:
                yield from self._plain_attempts(branch.steps)

    def _values(self, values: Mapping[str, object], marks: tuple[SecretFingerprint, ...]) -> dict[str, ParameterRecord]:
        attributes = self._factory.parameters(values, {}, marks) if values else {}
        records = {}
        for name, value in values.items():
            token = blake2b(json_text(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            names = (semconv.INPUT_VALUE.format(name=name), semconv.INPUT_DIGEST.format(name=name))
            shown = next((attributes[key] for key in names if key in attributes), "")
            records[self._text(name)] = ParameterRecord(token, bounded(self._text(str(shown)), _MAX_VALUE_BYTES))
        return records

    def _catalog(self) -> dict[tuple[str, str], str]:
        """The files of all steps, also of those that failed, which spans do not have; the last hash of each."""
        steps = [
            (self._execution.span_id(SpanRole.STEP, s.path), s.catalog) for s in self._run.all_steps() if s.catalog
        ]
        ran = sorted((self._spans[own].start_ns, own, items) for own, items in steps if own in self._spans)
        hashes = ((self._text(i.stage), self._text(i.name), i.data_hash) for *_, items in ran for i in items)
        return {(stage, name): self._text(digest) for stage, name, digest in hashes if digest}


def _result(span: Span) -> str:
    return next(str(span.attributes[name]) for name in _RESULTS if name in span.attributes)


def _is_harmless(span: Span) -> bool:
    return _result(span) in HARMLESS


def _first(span: Span, names: Iterable[str]) -> str:
    return next((str(span.attributes[name]) for name in names if name in span.attributes), "")


def _shown(value: object) -> str:
    return bounded(", ".join(value) if isinstance(value, tuple) else str(value), _MAX_VALUE_BYTES)


def _evidence(failure: Failure, step: str) -> Evidence:
    end = failure.stacktrace[-semconv.MAX_ATTRIBUTE_BYTES :]
    if len(end) < len(failure.stacktrace):
        end = end.partition("\n")[2]
    return Evidence(fingerprint_of(failure, step), bounded(failure.description, _MAX_MESSAGE_BYTES), end)


def _usage(attempts: Iterable[Span]) -> dict[str, float]:
    usage: dict[str, float] = {}
    for attempt in attempts:
        for name in USAGE:
            value = attempt.attributes.get(name)
            if isinstance(value, int | float) and isfinite(value):
                known = usage.get(name, 0)
                usage[name] = max(known, value) if name == semconv.MEMORY_PEAK else known + value
    return usage


def _common_code(attempts: Iterable[Span]) -> dict[str, str]:
    """What all attempts that have it agree on."""
    values: dict[str, set[str]] = defaultdict(set)
    other = semconv.prefix_of(semconv.CODE_IDENTITY)
    for attempt in attempts:
        place = semconv.K8S_NODE if semconv.K8S_POD in attempt.attributes else semconv.HOST_NAME
        for name, value in attempt.attributes.items():
            if name in _OF_CODE or name == place or name.startswith(other):
                values[name].add(_shown(value))
    return {name: next(iter(found)) for name, found in sorted(values.items()) if len(found) == 1}
