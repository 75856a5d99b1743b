"""The answer of a diagnosis in one line, and the texts of its parts. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from runlog_otel.core import semconv
from runlog_otel.core.baselines import Timing
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.first_cause import Cause, Survived, in_progress
from runlog_otel.core.redaction import bounded
from runlog_otel.core.sightings import Sightings
from runlog_otel.core.trace import Result

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_MESSAGE_BYTES = 200
_MAX_NAMES = 3
_MINUTE = 60
_SILENT_NS = _MINUTE * semconv.SECOND_NS
"""A run in progress that was not written for this long is said to be silent: it may have been killed."""
_ENDS = {
    Result.CANCELLATION.value: "was cancelled",
    Result.TIMEOUT.value: "timed out",
    semconv.OOM_KILLED: "was killed: out of memory",
}


def headline_of(
    record: ExecutionRecord, cause: Cause | None, harmless: Sequence[Survived], seen: Sightings | None, timing: Timing
) -> str:
    """The answer in one line."""
    if cause is None:
        parts = [_duration_sentence(record, timing), *_survived(harmless)]
    else:
        still = [f"still running; {cause_text(cause)}"] if not record.is_complete else [cause_text(cause)]
        parts = [*still, *([seen_text(seen)] if seen else ())]
    return "; ".join(parts)


def cause_text(cause: Cause) -> str:
    """What failed, and with which message: `publish failed: ConnectionError: no route to host`."""
    what = _what_ended(cause)
    why = failure_text(cause.error_type, cause.message)
    end = _ENDS.get(cause.error_type) or _ENDS.get(cause.result)
    if cause.kind == "abandoned":
        return f"{what} never ended{_while(cause)}: its process was probably killed"
    if cause.kind == "verdict":
        return f"{what} reached its node `fail`, and no step failed"
    if end is not None:
        said = failure_text(semconv.OTHER_ERROR, cause.message) if cause.message and cause.kind == "run" else ""
        return f"{what} {end}{_while(cause)}" + (f": {said}" if said else "")
    if cause.kind == "attempt":
        return f"{what} failed: {why}"
    if cause.kind == "run":
        return f"{what} was broken off{_while(cause)}: {why}"
    return f"{what} failed, and no attempt of it is recorded"


def failure_text(error_type: str, message: str) -> str:
    """Type and message of a failure in one line: a program's exit status with the last line of its output."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if error_type.startswith(("exit_", "signal_")):
        said = ": ".join(lines[:1] + lines[1:][-1:])
    elif error_type == semconv.OTHER_ERROR or not lines or lines[0] == error_type:
        said = lines[0] if lines else "no reason is recorded"
    else:
        said = f"{error_type}: {lines[0]}"
    return bounded(said.rstrip("."), _MAX_MESSAGE_BYTES)


def seen_text(seen: Sightings) -> str:
    """Whether a failure was seen before, how often, and since when."""
    others = seen.of_runs - 1
    again = f"; the same in {seen.executions} executions of this run" if seen.executions > 1 else ""
    if seen.is_new:
        return (f"not seen before, in {counted(others, 'other run')}" if others else "no other run is known") + again
    return (
        f"first seen {time_text(seen.first_ns)}, {counted(seen.runs, 'time')} in {counted(seen.of_runs, 'run')}{again}"
    )


def duration_text(ns: float) -> str:
    """A duration for people: `12 ms`, `3.4 s`, `5 min 12 s`, `2 h 5 min`."""
    seconds = ns / semconv.SECOND_NS
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {rest} s"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE} min"


def time_text(ns: int) -> str:
    """A time in UTC, to the minute; in nanoseconds if it is outside the calendar."""
    try:
        return (_EPOCH + timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%d %H:%M UTC")
    except OverflowError:
        return f"{ns} ns"


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def names_text(names: Sequence[str], count: int = 0) -> str:
    """The first few names, and how many more there are; `count` is their number if more exist than are given."""
    shown, count = names[:_MAX_NAMES], max(count, len(names))
    return ", ".join(shown) + (f" and {count - len(shown)} more" if count > len(shown) else "")


def _what_ended(cause: Cause) -> str:
    if cause.kind in ("attempt", "step"):
        is_iterated = cause.path not in ("", cause.step) and "*" in cause.key.split("/")
        return f"{cause.step} ({cause.path})" if is_iterated else cause.step
    return f"branch {cause.path}" if cause.kind == "branch" else "the run"


def _while(cause: Cause) -> str:
    if not cause.in_progress:
        return ""
    verb = "was" if len(cause.in_progress) == 1 else "were"
    return f" while {names_text(cause.in_progress)} {verb} in progress"


def _duration_sentence(record: ExecutionRecord, timing: Timing) -> str:
    took = duration_text(timing.duration_ns)
    if record.has_succeeded:
        state = f"succeeded in {took}"
    else:
        silent_ns = record.start_ns + timing.duration_ns - record.end_ns
        last = f"; its last record is {duration_text(silent_ns)} old" if silent_ns >= _SILENT_NS else ""
        steps = in_progress(record)
        state = f"running for {took}{f', now {names_text(steps)}' if steps else ''}, and nothing failed yet{last}"
    baseline = timing.baseline
    if baseline is None or timing.verdict == "unknown":
        before = counted(baseline.samples, "successful run") if baseline else "no successful run"
        return f"{state}; with {before} before it, nothing is known to be usual"
    usual = f"median of {counted(baseline.samples, 'successful run')}: {duration_text(baseline.median)}"
    if timing.verdict == "normal":
        return f"{state}, as usual ({usual})"
    excess = duration_text(timing.duration_ns - baseline.median)
    slowest = next((f"; {step.key} took {duration_text(step.excess_ns)} longer" for step in timing.slow_steps), "")
    return f"{state}, {excess} longer than usual ({usual}){slowest}"


def _survived(harmless: Sequence[Survived]) -> Iterable[str]:
    if harmless:
        last = harmless[-1]
        yield (
            f"it survived {counted(len(harmless), 'failed attempt')}, the last of {last.step}: "
            f"{failure_text(last.error_type, last.message)}"
        )
