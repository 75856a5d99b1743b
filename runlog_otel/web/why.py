"""Why a run failed or was slow, as the first paragraph of its page. Pure: a diagnosis in the page's words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runlog_otel.core.diagnosis import Diagnosis
from runlog_otel.core.fingerprint import Frame
from runlog_otel.core.first_cause import CUT, LATER, NOT_RUN, Cause
from runlog_otel.core.headline import cause_text, counted, failure_text, names_text
from runlog_otel.core.trace import SpanRole, Trace
from runlog_otel.web import formats
from runlog_otel.web.waterfall import Waterfall

_FRAME = re.compile(r'^ +File "(?P<path>[^"\n]+)", line \d+(?:, in (?P<function>.+))?$')
_MAX_FRAMES = 3
_LAST_LINES = 6
_SURVIVED_BY = {"step": "a later attempt succeeded", "branch": "its branch went on", "run": "the run went on"}


@dataclass(frozen=True, slots=True)
class Why:
    """The answer: `kind` is `failed`, `slow` or `survived` (something failed, and it did no harm).

    `row` is the key of the row of the step that failed, or empty; `seen_before` is the run in which it was seen last.
    """

    kind: str
    answer: str
    row: str = ""
    parts: tuple[str, ...] = ()
    """Of a slow run, the steps that took longer than usual."""
    sentences: tuple[str, ...] = ()
    seen_before: str = ""
    frames: str = ""
    """The end of the user's own part of the traceback."""


def why(diagnosis: Diagnosis, trace: Trace, chart: Waterfall) -> Why | None:
    """The answer of a diagnosis of an execution; None of one in which nothing failed or was slow."""
    seen_before = diagnosis.seen.before_run_id if diagnosis.seen else ""
    if cause := diagnosis.cause:
        step = trace.execution.span_id(SpanRole.STEP, cause.path)
        return Why(
            kind="failed",
            answer=_sentence(cause_text(cause), cause.step if cause.kind in ("attempt", "step") else ""),
            row=chart.row_of(step) if step in chart.names else "",
            sentences=tuple(_of_cause(diagnosis, cause)),
            seen_before=seen_before,
            frames=own_frames(cause.stacktrace),
        )
    if diagnosis.state == "slow":
        return Why("slow", _sentence(diagnosis.headline), parts=tuple(_of_slowness(diagnosis)))
    if diagnosis.survived:
        return Why(
            kind="survived",
            answer=_of_survived(diagnosis),
            sentences=(*_seen(diagnosis), *_flaky(diagnosis)),
            seen_before=seen_before,
        )
    return None


def own_frames(stacktrace: str) -> str:
    """The innermost frames of the user's own code with their lines; without any, the end of the traceback."""
    frames: list[list[str]] = []
    is_own = False
    for line in stacktrace.splitlines():
        if frame := _FRAME.match(line):
            is_own = not Frame(frame["path"], frame["function"] or "").is_library
            if is_own:
                frames.append([line])
        elif not line.startswith("    "):
            is_own = False
        elif is_own:
            frames[-1].append(line)
    own = [line for frame in frames[-_MAX_FRAMES:] for line in frame]
    return "\n".join(own or stacktrace.splitlines()[-_LAST_LINES:])


def _of_cause(diagnosis: Diagnosis, cause: Cause) -> Iterator[str]:
    if cause.attempts > 1:
        yield "Both attempts failed." if cause.attempts == 2 else f"All {cause.attempts} attempts failed."  # noqa: PLR2004
    yield from _seen(diagnosis)
    yield from _flaky(diagnosis)
    followed = diagnosis.aftermath
    counts = followed.counts
    if count := counts.get(LATER):
        same = sum(part.is_same_failure for part in followed.parts if part.how == LATER)
        yield f"{counted(count, 'step')} failed later{f', {same} of them in the same way' if same else ''}."
    if count := counts.get(CUT):
        yield f"{counted(count, 'step')} {'was' if count == 1 else 'were'} in progress when it ended."
    if count := counts.get(NOT_RUN):
        names = [part.path for part in followed.parts if part.how == NOT_RUN]
        yield f"{counted(count, 'step')} never ran: {names_text(names, count)}."


def _seen(diagnosis: Diagnosis) -> Iterator[str]:
    """Whether the failure was seen before; nothing without other runs."""
    seen = diagnosis.seen
    if seen is None or seen.of_runs == 1:
        return
    if seen.is_new:
        yield f"Not seen before, in {counted(seen.of_runs - 1, 'other run')}."
    else:
        since = formats.moment(seen.first_ns)
        yield f"First seen {since}, {counted(seen.runs, 'time')} in {counted(seen.of_runs, 'run')}."


def _flaky(diagnosis: Diagnosis) -> Iterator[str]:
    if (flaky := diagnosis.flakiness) and flaky.is_flaky:
        retried = f", and passed on a retry in {flaky.passed_on_retry}" if flaky.passed_on_retry else ""
        yield f"The step is flaky: it failed in {flaky.failed} of {counted(flaky.runs, 'run')}{retried}."


def _of_slowness(diagnosis: Diagnosis) -> Iterator[str]:
    for step in diagnosis.timing.slow_steps[:5]:
        count = f" ({step.count} iterations, usually {step.usual_count:g})" if step.count != step.usual_count else ""
        usual = f"median {formats.duration(round(step.baseline.median))}" if step.baseline else "new"
        yield f"{step.key.replace('/', ' / ')}: {formats.duration(step.duration_ns)}, {usual}{count}"


def _of_survived(diagnosis: Diagnosis) -> str:
    last = diagnosis.survived[-1]
    more = f" ({diagnosis.survived_count} failed attempts in all)" if diagnosis.survived_count > 1 else ""
    why = failure_text(last.error_type, last.message)
    return f"{last.step} failed, and {_SURVIVED_BY.get(last.by, 'the run went on')}{more}: {why}"


def _sentence(text: str, name: str = "") -> str:
    """The text with a capital letter, unless it begins with a name."""
    return text if name else text[:1].upper() + text[1:]
