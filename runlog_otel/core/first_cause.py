"""What failed first in an execution, what only followed from it, and what the execution survived. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runlog_otel.core import semconv
from runlog_otel.core.execution_record import Evidence, ExecutionRecord, Part
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.trace import SpanRole

CONTAINER, LATER, CUT, NOT_RUN = "container", "failed_later", "cut", "not_run"
"""How a part followed the first cause: it contains it; it failed by itself, later; it was in progress when the
execution ended; it never ran."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The first failure of an execution that it did not survive.

    `kind` is `attempt` (a step's), `step` or `branch` (it failed without a failed attempt), `run` (the host raised, or
    was interrupted), `verdict` (the graph reached `fail`, and nothing in it failed), `abandoned` (it never ended).
    """

    kind: str
    step: str
    path: str
    """The host's internal name of the step; empty if no step failed, or several were in progress."""
    key: str
    """Its place in the graph, without the values of iterations."""
    result: str
    at_ns: int
    """When it failed, in nanoseconds since the epoch."""
    error_type: str
    message: str
    stacktrace: str
    fingerprint: Fingerprint
    attempts: int = 0
    """How often the step was tried."""
    in_progress: tuple[str, ...] = ()
    """The steps that were in progress, if no step failed."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """A part that did not succeed, or did not run, after the first cause."""

    how: str
    """`container`, `failed_later`, `cut` or `not_run`."""
    path: str
    """The host's internal name; of a step that never ran, its name."""
    error_type: str = ""
    is_same_failure: bool = False
    """Whether it has the fingerprint of the first cause."""


@dataclass(frozen=True, slots=True)
class Survived:
    """A failed attempt that did no harm."""

    step: str
    path: str
    key: str
    """The step's place in the graph."""
    attempt: int
    error_type: str
    message: str
    fingerprint: Fingerprint
    by: str
    """What succeeded nevertheless: its `step` (a retry), or the `branch` or `run` around it."""


def first_cause(record: ExecutionRecord) -> Cause | None:
    """What failed first; None if the execution succeeded, or still runs and nothing failed in it yet.

    Of the steps that failed for good, it is the one whose first failed attempt ended first, by the clocks in the log.
    """
    if record.has_succeeded:
        return None
    fatal = [part for part in record.parts if not part.survived_by and not part.has_failed_inside]
    if tried := [part for part in fatal if part.role is SpanRole.ATTEMPT]:
        own = [part for part in tried if part.path == tried[0].path]
        return _cause_of_attempts(own)
    if not record.is_complete:
        return None
    if record.ending is not None:
        return _cause_of_ending(record, record.ending)
    if closed := [part for part in fatal if not part.is_open]:
        return _cause_of_part(closed[0])
    return _cause_of_run(record)


def consequences(record: ExecutionRecord, cause: Cause, usual: Iterable[str] = ()) -> tuple[Consequence, ...]:
    """What followed: in the order of time, then the steps that never ran.

    Args:
        record: the execution.
        cause: its first cause.
        usual: the names of the steps that ran in the last successful run, in order; else those of the definition count.
    """
    fatal = [part for part in record.parts if not part.survived_by]
    tried = {part.path: part for part in fatal if part.role is SpanRole.ATTEMPT and not part.has_failed_inside}
    followed = []
    for part in fatal:
        if part.role is SpanRole.ATTEMPT or part.path == cause.path:
            continue
        attempt = tried.get(part.path) if part.role is SpanRole.STEP else None
        how = CONTAINER if attempt is None and part.has_failed_inside else CUT if part.is_open else LATER
        evidence = attempt.evidence if attempt else None
        is_same = evidence is not None and evidence.fingerprint == cause.fingerprint
        followed.append(Consequence(how, part.path, part.error_type, is_same))
    if record.is_complete:
        expected = tuple(usual) or record.nodes
        followed += [Consequence(NOT_RUN, name) for name in dict.fromkeys(expected) if name not in record.names]
    return tuple(followed)


def survived(record: ExecutionRecord) -> tuple[Survived, ...]:
    """The failed attempts that the execution survived, in the order of time."""
    return tuple(
        Survived(
            part.step,
            part.path,
            part.key,
            part.attempt,
            part.error_type,
            part.evidence.message,
            part.evidence.fingerprint,
            part.survived_by,
        )
        for part in record.parts
        if part.role is SpanRole.ATTEMPT and part.survived_by and part.evidence
    )


def in_progress(record: ExecutionRecord) -> tuple[str, ...]:
    """The names of the innermost steps that have not ended, or never did."""
    return tuple(dict.fromkeys(part.step for part in _open_steps(record)))


def counts_of(followed: Iterable[Consequence]) -> Mapping[str, int]:
    """How many followed in each way."""
    counts = Counter(part.how for part in followed)
    return {how: counts[how] for how in (CONTAINER, LATER, CUT, NOT_RUN) if counts[how]}


def fingerprints(record: ExecutionRecord) -> Mapping[Fingerprint, int]:
    """The different failures of an execution, survived or not, and when each first happened."""
    found: dict[Fingerprint, int] = {}
    for part in record.parts:
        if part.evidence is not None:
            found.setdefault(part.evidence.fingerprint, part.end_ns)
    cause = first_cause(record)
    if cause is not None:
        found.setdefault(cause.fingerprint, cause.at_ns)
    return found


def _cause_of_attempts(attempts: list[Part]) -> Cause:
    """Of the failed attempts at one step: the first says when it failed, the last why."""
    last = attempts[-1]
    evidence = last.evidence or _without_evidence(last)
    return Cause(
        kind="attempt",
        step=last.step,
        path=last.path,
        key=last.key,
        result=last.result,
        at_ns=attempts[0].end_ns,
        error_type=last.error_type,
        message=evidence.message,
        stacktrace=evidence.stacktrace,
        fingerprint=evidence.fingerprint,
        attempts=len(attempts),
    )


def _cause_of_ending(record: ExecutionRecord, ending: Evidence) -> Cause:
    open_steps = _open_steps(record)
    only = open_steps[0] if len(open_steps) == 1 else None
    return Cause(
        kind="run",
        step=only.step if only else "",
        path=only.path if only else "",
        key=only.key if only else "",
        result=record.result,
        at_ns=record.end_ns,
        error_type=record.error_type,
        message=ending.message or record.description,
        stacktrace=ending.stacktrace,
        fingerprint=ending.fingerprint._replace(step=", ".join(in_progress(record))),
        in_progress=in_progress(record),
    )


def _cause_of_part(part: Part) -> Cause:
    is_step = part.role is SpanRole.STEP
    return Cause(
        kind=part.role.value,
        step=part.step if is_step else "",
        path=part.path,
        key=part.key,
        result=part.result,
        at_ns=part.end_ns,
        error_type=part.error_type,
        message=part.description,
        stacktrace="",
        fingerprint=Fingerprint(part.error_type, step=part.step),
    )


def _cause_of_run(record: ExecutionRecord) -> Cause:
    is_abandoned = record.error_type == semconv.ABANDONED
    return Cause(
        kind="abandoned" if is_abandoned else "verdict",
        step="",
        path="",
        key="",
        result=record.result,
        at_ns=record.end_ns,
        error_type=record.error_type,
        message=record.description,
        stacktrace="",
        fingerprint=Fingerprint(record.error_type, step=", ".join(in_progress(record))),
        in_progress=in_progress(record),
    )


def _without_evidence(part: Part) -> Evidence:
    return Evidence(Fingerprint(part.error_type, step=part.step), part.description, "")


def _open_steps(record: ExecutionRecord) -> list[Part]:
    """The innermost steps that never ended."""
    return [part for part in record.parts if part.is_open and not part.has_failed_inside]
