"""Why a run failed, or was slow, in one answer: bounded, sanitised, and ready for JSON. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.baselines import Timing, timing_of
from runlog_otel.core.comparison import Difference, differences_between
from runlog_otel.core.execution_record import ExecutionRecord, ExecutionSummary
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.first_cause import Cause, Consequence, Survived, consequences, counts_of, first_cause, survived
from runlog_otel.core.headline import cause_text, headline_of
from runlog_otel.core.redaction import bounded
from runlog_otel.core.sightings import Flakiness, Sightings, flakiness_of, sightings_of

MAX_LISTED = 20
"""The most entries of each list in a diagnosis."""
_MAX_TEXT_BYTES = 500
_WHOLE = ("stacktrace",)
"""The fields that are bounded already."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the last successful run of the pipeline before."""

    since_run_id: str
    count: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class EarlierExecution:
    """An execution of the same run before this one."""

    execution: int
    result: str
    why: str
    """What failed first in it, in one line; empty if nothing did."""


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """Which runs were read for a diagnosis."""

    runs: int
    """Other runs of the same pipeline that began before."""
    other_pipelines: int
    """Runs of other pipelines."""
    notes: tuple[str, ...] = ()
    """What could not be read, or was left out."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What followed the cause."""

    counts: Mapping[str, int]
    """How many parts followed in each way."""
    parts: tuple[Consequence, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why an execution failed or was slow. Every list has at most `MAX_LISTED` entries; times are in nanoseconds."""

    headline: str
    """The answer in one line."""
    state: str
    """`failed`, `succeeded`, `slow` (it succeeded), `running`."""
    run: ExecutionSummary
    url: str
    """The page of its trace, if the setting `ui` is set."""
    earlier: tuple[EarlierExecution, ...]
    """The last ones first."""
    cause: Cause | None
    aftermath: Aftermath
    survived_count: int
    survived: tuple[Survived, ...]
    """Failed attempts that did no harm."""
    seen: Sightings | None
    """Where the cause was seen before; without a cause, the last failure that was survived."""
    flakiness: Flakiness | None
    """Of the step of that failure."""
    changes: Changes | None
    timing: Timing
    history: HistoryRead
    commands: tuple[str, ...] = ()
    """What to call to look further."""


def diagnosis_of(
    record: ExecutionRecord,
    before: Sequence[ExecutionRecord],
    elsewhere: Sequence[ExecutionRecord] = (),
    *,
    now_ns: int | None = None,
    url: str = "",
    notes: Iterable[str] = (),
) -> Diagnosis:
    """Diagnose one execution.

    Args:
        record: the execution.
        before: other executions of the same pipeline that began before, of the same run too, in any order.
        elsewhere: executions of other pipelines.
        now_ns: the time, for one that still runs; else it is taken to have run until its last record.
        url: the page of its trace.
        notes: what could not be read of the history.
    """
    cause, harmless = first_cause(record), survived(record)
    others = [past for past in before if past.run_id != record.run_id]
    successes = [past for past in others if past.has_succeeded]
    last = max(successes, key=lambda past: (past.start_ns, past.run_id, past.execution), default=None)
    duration_ns = record.duration_ns if record.is_complete or now_ns is None else max(0, now_ns - record.start_ns)
    timing = timing_of(record, successes, duration_ns)
    usual = [step.name for step in last.steps.values()] if last else []
    followed = consequences(record, cause, usual) if cause else ()
    failure = cause or (harmless[-1] if harmless else None)
    seen = sightings_of(failure.fingerprint, record, [*before, *elsewhere]) if failure else None
    is_known_step = failure is not None and failure.key in record.steps
    return Diagnosis(
        headline=headline_of(record, cause, harmless, seen, timing),
        state=_state(record, timing),
        run=record.summary,
        url=url,
        earlier=tuple(_earlier(record, before))[:MAX_LISTED],
        cause=replace(cause, in_progress=cause.in_progress[:MAX_LISTED]) if cause else None,
        aftermath=_aftermath(followed),
        survived_count=len(harmless),
        survived=harmless[:MAX_LISTED],
        seen=_bounded(seen) if seen else None,
        flakiness=flakiness_of(failure.key, [record, *before]) if failure and is_known_step else None,
        changes=_changes(record, last),
        timing=replace(timing, slow_steps=timing.slow_steps[:MAX_LISTED], usage=timing.usage[:MAX_LISTED]),
        history=HistoryRead(_runs(others), _runs(elsewhere), tuple(notes)[:MAX_LISTED]),
    )


def document_of(answer: Any) -> Any:
    """A diagnosis or a comparison as JSON: the fields of its dataclasses, with bounded texts.

    A fingerprint has its `id`, `place` and parts.
    """
    if isinstance(answer, Fingerprint):
        return {"id": answer.id, "place": bounded(answer.place, _MAX_TEXT_BYTES), **document_of(answer._asdict())}
    if is_dataclass(answer):
        values = {each.name: getattr(answer, each.name) for each in fields(answer)}
        return {name: value if name in _WHOLE else document_of(value) for name, value in values.items()}
    if isinstance(answer, Mapping):
        return {bounded(str(name), _MAX_TEXT_BYTES): document_of(value) for name, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [document_of(value) for value in answer]
    return bounded(answer, _MAX_TEXT_BYTES) if isinstance(answer, str) else answer


def _state(record: ExecutionRecord, timing: Timing) -> str:
    if not record.is_complete:
        return "running"
    if not record.has_succeeded:
        return "failed"
    return "slow" if timing.verdict == "slow" else "succeeded"


def _earlier(record: ExecutionRecord, before: Iterable[ExecutionRecord]) -> Iterator[EarlierExecution]:
    own = (each for each in before if each.run_id == record.run_id and each.execution < record.execution)
    for each in sorted(own, key=lambda each: -each.execution):
        cause = first_cause(each)
        yield EarlierExecution(each.execution, each.result, cause_text(cause) if cause else "")


def _aftermath(parts: Sequence[Consequence]) -> Aftermath:
    counts = counts_of(parts)
    listed = (
        part for how in counts for part in [each for each in parts if each.how == how][: MAX_LISTED // len(counts)]
    )
    return Aftermath(counts, tuple(listed))


def _bounded(seen: Sightings) -> Sightings:
    return replace(seen, pipelines=dict(list(seen.pipelines.items())[:MAX_LISTED]))


def _changes(record: ExecutionRecord, last: ExecutionRecord | None) -> Changes | None:
    """Since the last success that was read; else what was noted when the run failed."""
    if last is None:
        return _noted_changes(record.changes)
    differences = differences_between(last, record)
    return Changes(last.run_id, len(differences), differences[:MAX_LISTED])


def _noted_changes(noted: Mapping[str, tuple[str, ...]]) -> Changes | None:
    if not noted:
        return None
    before, after = (
        "".join(noted.get(name, ())) for name in (semconv.CHANGES_REVISION_BEFORE, semconv.CHANGES_REVISION)
    )
    differences = (
        *([Difference("revision", "", before, after)] if before or after else ()),
        *(Difference("parameter", name) for name in noted.get(semconv.CHANGES_PARAMETERS, ())),
        *(Difference("catalog", name) for name in noted.get(semconv.CHANGES_FILES, ())),
    )
    return Changes("".join(noted.get(semconv.CHANGES_SINCE, ())), len(differences), differences[:MAX_LISTED])


def _runs(records: Iterable[ExecutionRecord]) -> int:
    return len({record.run_id for record in records})
