"""The dashboard "Pipeline": one of them, its runs and steps."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.expressions import (
    BAD,
    FAILED,
    PIPELINE,
    STEP,
    Where,
    grown,
    label,
    largest,
    quantile,
    series,
    share,
    summed,
    total,
)
from dashboards.panels import (
    PIPELINE_UID,
    Column,
    Line,
    Panel,
    bars,
    failures,
    heat,
    lines,
    number,
    page,
    rows,
    variable,
)
from runlog_otel.core import semconv

_RUN: Where = {PIPELINE: '="$pipeline"'}
_OF_STEP: Where = {**_RUN, STEP: '=~"$step"'}
_RUNS = series(semconv.RUN_DURATION, "count", _RUN)
_LEVELS = (0.5, 0.95)
_STEP = f"{{{{{label(STEP)}}}}}"


def dashboard() -> Dashboard:
    """One pipeline on one page."""
    help_ = "The runs of one pipeline: durations, results, failures and their traces."
    new = page(PIPELINE_UID, "Pipeline", help_, pages="/pipelines/${pipeline:percentencode}")
    new.with_variable(variable("pipeline", "Pipeline", series(semconv.RUN_DURATION, "count"), PIPELINE))
    new.with_variable(variable("step", "Step", series(semconv.STEP_RESULTS, where=_RUN), STEP, has_all=True))
    for title, panels in {
        "Runs": _runs(),
        "Failures": _failures(),
        "Steps": _steps(),
        "Retries": _retries(),
        "Resources": _resources(),
        "What steps report": _reported(),
    }.items():
        new.with_row(Row(title))
        for panel in panels:
            new.with_panel(panel)
    return new


def _runs() -> Iterator[Panel]:
    successes = series(semconv.RUN_DURATION, "count", {**_RUN, semconv.PIPELINE_RESULT: '="success"'})
    bad = series(semconv.RUN_DURATION, "count", {**_RUN, semconv.PIPELINE_RESULT: BAD})
    last = largest(series(semconv.LAST_SUCCESS, where=_RUN))
    yield number("Runs", total(_RUNS), help_="Executions that ended in the selected time range.")
    yield number("Failed", total(bad), bad_from=1)
    yield number("Succeeded", share(successes, _RUNS), "percentunit")
    yield number("Last success", f"time() - {last}", "s", help_="Time since then.")
    yield number("Active", summed(series(semconv.RUNS_ACTIVE, where=_RUN)))
    yield number("Oldest active", largest(series(semconv.OLDEST_ACTIVE, where=_RUN)), "s")
    result = f"{{{{{label(semconv.PIPELINE_RESULT)}}}}}"
    yield bars("Runs by result", "none", Line(summed(grown(_RUNS), semconv.PIPELINE_RESULT), result))
    yield lines(
        "Duration of runs",
        "s",
        *(
            Line(quantile(level, semconv.RUN_DURATION, where=_RUN), f"{level:.0%}", traces=level == _LEVELS[-1])
            for level in _LEVELS
        ),
        help_="A dot is a run: it leads to its trace.",
    )
    buckets = series(semconv.RUN_DURATION, "bucket", _RUN)
    yield heat("Durations of runs", f"sum by (le) ({grown(buckets)})", width=24)


def _failures() -> Iterator[Panel]:
    yield failures(series(semconv.STEP_LAST_FAILURE, where=_OF_STEP))
    failed = series(semconv.STEP_RESULTS, where={**_OF_STEP, semconv.TASK_RESULT: FAILED})
    errors = series(semconv.RUN_ERRORS, where=_RUN)
    yield bars("Failed steps", "none", Line(summed(grown(failed), STEP), _STEP))
    error = f"{{{{{label(semconv.ERROR_TYPE)}}}}}"
    yield bars("Failed attempts by error", "none", Line(summed(grown(errors), semconv.ERROR_TYPE), error))


def _steps() -> Iterator[Panel]:
    results = series(semconv.STEP_RESULTS, where=_OF_STEP)
    legend = f"{_STEP} {{{{{label(semconv.TASK_RESULT)}}}}}"
    yield bars("Steps by result", "none", Line(summed(grown(results), STEP, semconv.TASK_RESULT), legend))
    buckets = series(semconv.STEP_DURATION, "bucket", _OF_STEP)
    yield heat("Durations of steps", f"sum by (le) ({grown(buckets)})", help_="Select a step to see its durations.")
    for level in _LEVELS:
        line = Line(quantile(level, semconv.STEP_DURATION, STEP, where=_OF_STEP), _STEP, traces=True)
        yield lines(f"Duration of steps, {level:.0%}", "s", line)
    attempts = quantile(_LEVELS[-1], semconv.ATTEMPT_DURATION, STEP, where=_OF_STEP)
    yield lines(f"Duration of attempts, {_LEVELS[-1]:.0%}", "s", Line(attempts, _STEP))
    waits = quantile(_LEVELS[-1], semconv.STEP_QUEUE_TIME, STEP, where=_OF_STEP)
    yield lines(
        f"Queue time, {_LEVELS[-1]:.0%}",
        "s",
        Line(waits, _STEP),
        help_="From the end of the previous step to a step's start: overhead of the executor, such as scheduling pods.",
    )
    branches = quantile(_LEVELS[-1], semconv.BRANCH_DURATION, STEP, semconv.BRANCH_NAME, where=_OF_STEP)
    branch = f"{_STEP} {{{{{label(semconv.BRANCH_NAME)}}}}}"
    yield lines(f"Duration of branches, {_LEVELS[-1]:.0%}", "s", Line(branches, branch), width=24)


def _retries() -> Iterator[Panel]:
    retries = series(semconv.STEP_RETRIES, where=_OF_STEP)
    passed = series(semconv.STEP_PASSED_ON_ATTEMPT, where=_OF_STEP)
    flaky = series(semconv.STEP_PASSED_ON_ATTEMPT, where={**_OF_STEP, semconv.ATTEMPT_NUMBER: '!="1"'})
    yield bars("Retries", "none", Line(summed(grown(retries), STEP), _STEP))
    yield lines(
        "Flaky steps",
        "percentunit",
        Line(f"{summed(flaky, STEP)} / {summed(passed, STEP)}", _STEP),
        help_="Share of a step's successes that took more than one attempt, since the counters began.",
    )


def _resources() -> Iterator[Panel]:
    level = _LEVELS[-1]
    for title, unit, metric in (
        ("CPU time of attempts", "s", semconv.CPU_TIME),
        ("Peak memory of attempts", "bytes", semconv.MEMORY_PEAK),
        ("Read by attempts", "bytes", semconv.IO_READ),
        ("Written by attempts", "bytes", semconv.IO_WRITE),
    ):
        yield lines(f"{title}, {level:.0%}", unit, Line(quantile(level, metric, STEP, where=_OF_STEP), _STEP))
    cpu, duration = (
        summed(f"increase({series(metric, 'sum', _OF_STEP)}[$__range])", STEP)
        for metric in (semconv.CPU_TIME, semconv.ATTEMPT_DURATION)
    )
    columns = [
        Column(label(STEP), "step"),
        Column("Value #A", "memory limit", "bytes"),
        Column("Value #B", f"peak memory, {level:.0%}", "bytes"),
        Column("Value #C", "CPU limit"),
        Column("Value #D", "CPUs, mean"),
    ]
    expressions = {
        "A": largest(series(semconv.MEMORY_LIMIT, where=_OF_STEP), STEP),
        "B": quantile(level, semconv.MEMORY_PEAK, STEP, where=_OF_STEP, window="$__range"),
        "C": largest(series(semconv.CPU_LIMIT, where=_OF_STEP), STEP),
        "D": f"{cpu} / {duration}",
    }
    help_ = "Limits of control groups, where there are any, and what the attempts in the selected time range used."
    yield rows("Asked for against used", columns, expressions, joined=STEP, help_=help_)


def _reported() -> Iterator[Panel]:
    legend = f"{_STEP} {{{{{label(semconv.METRIC_NAME)}}}}}"
    yield lines(
        "User metrics over runs",
        "none",
        Line(series(semconv.USER_METRIC, where=_OF_STEP), legend),
        help_="Metrics that steps returned with `metric(…)`, from the latest attempt.",
    )
    annotation = f"{_STEP} {{{{{label(semconv.ANNOTATION_NAME)}}}}}"
    yield lines(
        "Annotated numbers over runs",
        "none",
        Line(series(semconv.ANNOTATION, where=_OF_STEP), annotation),
        help_="Numbers that steps annotate and `metrics.annotations` lists, from the latest attempt.",
    )
    items = series(semconv.CATALOG_ITEMS, where=_OF_STEP)
    stage = f"{_STEP} {{{{{label(semconv.CATALOG_STAGE)}}}}}"
    yield bars("Catalog items", "none", Line(summed(grown(items), STEP, semconv.CATALOG_STAGE), stage))
