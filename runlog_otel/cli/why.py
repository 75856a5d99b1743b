"""`runlog-otel why`: why a run failed, or was slow, against its own history."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import run_named, source
from runlog_otel.cli.options import AsJson, ConfigFile, SourceUrl
from runlog_otel.core import semconv
from runlog_otel.core.baselines import BETWEEN_STEPS
from runlog_otel.core.headline import counted, duration_text, failure_text, names_text, time_text
from runlog_otel.insight import HISTORY, MAX_HISTORY, diagnose

if TYPE_CHECKING:
    from runlog_otel.core.baselines import Baseline, SlowStep, Timing
    from runlog_otel.core.comparison import Difference
    from runlog_otel.core.diagnosis import Changes, Diagnosis, EarlierExecution
    from runlog_otel.core.first_cause import Consequence
    from runlog_otel.core.sightings import Flakiness, Sightings

_LAST_LINES = 7
_MAX_LINES = 5
"""The most lines that are printed of each list; `--json` has more."""
_STYLES = {"failed": "red", "slow": "yellow", "running": "yellow", "succeeded": "green"}
_HOW = {
    "container": "around failed steps",
    "failed_later": "failed later",
    "cut": "was cut off",
    "not_run": "never ran",
}
_KINDS = {"work_tree": "work tree", "returned": "returned parameter", "catalog": "catalog file"}
_RESOURCES = {
    semconv.CPU_TIME: "CPU time",
    semconv.MEMORY_PEAK: "peak of memory",
    semconv.IO_READ: "bytes read",
    semconv.IO_WRITE: "bytes written",
}
_BY = {"step": "the step succeeded on a retry", "branch": "the branch succeeded", "run": "the run succeeded"}
_UNIT = 1024
_DIGITS = 12
"""Of a digest."""


def why(
    run: Annotated[
        str,
        typer.Argument(help="A run id, or a run log's JSON file; latest: the newest run.", metavar="RUN_ID"),
    ],
    history: Annotated[
        int, typer.Option(min=0, max=MAX_HISTORY, help="How many earlier runs of the pipeline are looked at.")
    ] = HISTORY,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Say why a run failed or was slow: the first cause, what changed, whether it was seen before.

    Exit status: 0 there is an answer, also for a run that succeeded or still runs.
    """
    from runlog_otel.core.diagnosis import document_of
    from runlog_otel.stores.connection_string import masked

    loaded = source(url, config)
    named = run_named(loaded, run)
    options = [
        part for name, value in (("--source", masked(url)), ("--config", config)) if value for part in (name, value)
    ]
    diagnosis = diagnose(loaded, named, history=history, now_ns=time.time_ns(), options=options)
    if as_json:
        output.document(document_of(diagnosis))
        return
    output.rendered(
        output.cell(diagnosis.headline, _STYLES[diagnosis.state]),
        *(output.cell(text) for text in _lines(diagnosis)),
    )


def _lines(diagnosis: "Diagnosis") -> Iterator[str]:
    run = diagnosis.run
    again = f", execution {run.execution} of {run.executions}" if run.executions > 1 else ""
    yield f"run {run.run_id} of {run.pipeline}{again}, {time_text(run.start_ns)}"
    sections = {
        "before": _some((_earlier(each) for each in diagnosis.earlier), len(diagnosis.earlier)),
        "evidence": _evidence(diagnosis),
        "followed": _followed(diagnosis),
        "survived": _survived(diagnosis),
        "seen": _seen(diagnosis.seen),
        "flaky": _flaky(diagnosis.flakiness),
        "changed": _changed(diagnosis.changes),
        "slower": _slower(diagnosis.timing),
        "used": _used(diagnosis.timing),
        "read": _read(diagnosis),
        "look further": iter((*([diagnosis.url] if diagnosis.url else ()), *diagnosis.commands)),
    }
    for title, lines in sections.items():
        for at, line in enumerate(lines):
            yield f"{title if at == 0 else '':14}{line}"


def _evidence(diagnosis: "Diagnosis") -> Iterator[str]:
    cause = diagnosis.cause
    if cause is None:
        return
    if cause.attempts > 1:
        yield f"the last of {cause.attempts} attempts"
    text = cause.stacktrace or cause.message
    yield from text.rstrip().splitlines()[-_LAST_LINES:]


def _earlier(earlier: "EarlierExecution") -> str:
    return f"execution {earlier.execution} ended with {earlier.result}{earlier.why and ': '}{earlier.why}"


def _followed(diagnosis: "Diagnosis") -> Iterator[str]:
    parts = diagnosis.aftermath.parts
    for how, count in diagnosis.aftermath.counts.items():
        shown = [part for part in parts if part.how == how]
        same = sum(part.is_same_failure for part in shown)
        note = f" ({same} with the same failure)" if same else ""
        yield f"{_HOW[how]}: {names_text([_part(part) for part in shown], count)}{note}"


def _part(part: "Consequence") -> str:
    is_own = part.how == "failed_later" and part.error_type and not part.is_same_failure
    return f"{part.path} ({part.error_type})" if is_own else part.path


def _survived(diagnosis: "Diagnosis") -> Iterator[str]:
    lines = (
        f"{each.path}, attempt {each.attempt}: {failure_text(each.error_type, each.message)}; {_BY[each.by]}"
        for each in diagnosis.survived
    )
    return _some(lines, diagnosis.survived_count)


def _seen(seen: "Sightings | None") -> Iterator[str]:
    if seen is None or seen.is_new:
        return
    yield f"first in {seen.first_run_id}, {time_text(seen.first_ns)}"
    if seen.before_ns is not None and seen.before_run_id != seen.first_run_id:
        yield f"last before in {seen.before_run_id}, {time_text(seen.before_ns)}"
    if len(seen.pipelines) > 1:
        yield "in " + ", ".join(f"{name} ({counted(count, 'run')})" for name, count in seen.pipelines.items())


def _flaky(flakiness: "Flakiness | None") -> Iterator[str]:
    if flakiness is None or not flakiness.is_flaky:
        return
    if flakiness.passed_on_retry:
        yield f"the step succeeded on a retry in {flakiness.passed_on_retry} of {counted(flakiness.runs, 'run')}"
    if flakiness.unchanged_failed:
        yield (
            f"with the same commit, graph and parameters the step failed {counted(flakiness.unchanged_failed, 'time')} "
            f"and succeeded {counted(flakiness.unchanged_passed, 'time')}"
        )


def _changed(changes: "Changes | None") -> Iterator[str]:
    if changes is None:
        return
    yield f"since {changes.since_run_id} succeeded: {'' if changes.count else 'nothing that is recorded'}".rstrip()
    yield from _some((f"  {_difference(each)}" for each in changes.differences), changes.count)


def _difference(difference: "Difference") -> str:
    name = f" {difference.name}" if difference.name else ""
    kind = _KINDS.get(difference.kind, difference.kind)
    if not (difference.before or difference.after):
        return f"{kind}{name}"
    values = (difference.before, difference.after)
    if difference.kind in ("revision", "graph", "catalog"):
        values = (difference.before[:_DIGITS], difference.after[:_DIGITS])
    return f"{kind}{name}: {' → '.join(value or '(not shown)' for value in values)}"


def _slower(timing: "Timing") -> Iterator[str]:
    return _some((_slow_step(step) for step in timing.slow_steps), len(timing.slow_steps))


def _slow_step(step: "SlowStep") -> str:
    if step.baseline is None:
        return f"{step.key}: {duration_text(step.duration_ns)}, and it never ran in a successful run before"
    usual = f"median {duration_text(step.baseline.median)}, p95 {duration_text(step.baseline.p95)}"
    more = "" if step.key == BETWEEN_STEPS else _more_iterations(step)
    return f"{step.key}: {duration_text(step.duration_ns)}, {duration_text(step.excess_ns)} longer ({usual}){more}"


def _more_iterations(step: "SlowStep") -> str:
    is_other = step.count != step.usual_count
    return f"; {step.count} iterations, usually {step.usual_count:g}" if is_other else ""


def _used(timing: "Timing") -> Iterator[str]:
    lines = (
        f"{each.key}: {_RESOURCES[each.resource]} {_amount(each.resource, each.value)} "
        f"({_usual(each.resource, each.baseline)})"
        for each in timing.usage
    )
    return _some(lines, len(timing.usage))


def _usual(resource: str, baseline: "Baseline") -> str:
    return f"median {_amount(resource, baseline.median)}, p95 {_amount(resource, baseline.p95)}"


def _amount(resource: str, value: float) -> str:
    if resource == semconv.CPU_TIME:
        return duration_text(value * semconv.SECOND_NS)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < _UNIT or unit == "GiB":
            break
        value /= _UNIT
    return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def _read(diagnosis: "Diagnosis") -> Iterator[str]:
    history = diagnosis.history
    other = f", {counted(history.other_pipelines, 'run')} of others" if history.other_pipelines else ""
    yield f"{counted(history.runs, 'earlier run')} of this pipeline{other}"
    yield from history.notes


def _some(lines: Iterable[str], count: int) -> Iterator[str]:
    """The first few lines, and how many more there are."""
    shown = [line for _, line in zip(range(_MAX_LINES), lines, strict=False)]
    yield from shown
    if count > len(shown):
        yield f"and {count - len(shown)} more"
