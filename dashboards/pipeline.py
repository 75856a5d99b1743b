"""The dashboard "Pipeline": one of them, its runs and steps."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.expressions import PIPELINE, STEP, Where, grown, label, largest, quantile, series, share, summed, total
from dashboards.panels import PIPELINE_UID, Line, Panel, bars, failures, heat, lines, number, page, variable
from runlog_otel.core import semconv

_RUN: Where = {PIPELINE: '="$pipeline"'}
_OF_STEP: Where = {**_RUN, STEP: '=~"$step"'}
_RUNS = series(semconv.RUN_DURATION, "count", _RUN)
_LEVELS = (0.5, 0.95)
_STEP = f"{{{{{label(STEP)}}}}}"


def dashboard() -> Dashboard:
    """One pipeline on one page."""
    new = page(PIPELINE_UID, "Pipeline", "The runs of one pipeline: durations, results, failures and their traces.")
    new.with_variable(variable("pipeline", "Pipeline", series(semconv.RUN_DURATION, "count"), PIPELINE))
    new.with_variable(variable("step", "Step", series(semconv.STEP_RESULTS, where=_RUN), STEP, has_all=True))
    for title, panels in {
        "Runs": _runs(),
        "Failures": _failures(),
        "Steps": _steps(),
        "Retries": _retries(),
        "What steps report": _reported(),
    }.items():
        new.with_row(Row(title))
        for panel in panels:
            new.with_panel(panel)
    return new


def _runs() -> Iterator[Panel]:
    successes = series(semconv.RUN_DURATION, "count", {**_RUN, semconv.PIPELINE_RESULT: '="success"'})
    bad = series(semconv.RUN_DURATION, "count", {**_RUN, semconv.PIPELINE_RESULT: '!="success"'})
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
    failed = series(semconv.STEP_RESULTS, where={**_OF_STEP, semconv.TASK_RESULT: '="failure"'})
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


def _reported() -> Iterator[Panel]:
    legend = f"{_STEP} {{{{{label(semconv.METRIC_NAME)}}}}}"
    yield lines(
        "User metrics over runs",
        "none",
        Line(series(semconv.USER_METRIC, where=_OF_STEP), legend),
        help_="Metrics that steps returned with `metric(…)`, from the latest attempt.",
    )
    items = series(semconv.CATALOG_ITEMS, where=_OF_STEP)
    stage = f"{_STEP} {{{{{label(semconv.CATALOG_STAGE)}}}}}"
    yield bars("Catalog items", "none", Line(summed(grown(items), STEP, semconv.CATALOG_STAGE), stage))
