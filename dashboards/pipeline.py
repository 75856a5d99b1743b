"""The dashboard "Pipeline": one of them, its runs and steps."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.expressions import PIPELINE, STEP, Where, grown, label, largest, quantile, series, share, summed, total
from dashboards.panels import PIPELINE_UID, Line, Panel, bars, failures, heat, lines, number, page, variable
from runlog_otel import names

_RUN: Where = {PIPELINE: '="$pipeline"'}
_OF_STEP: Where = {**_RUN, STEP: '=~"$step"'}
_RUNS = series(names.RUN_DURATION, "count", _RUN)
_LEVELS = (0.5, 0.95)
_STEP = f"{{{{{label(STEP)}}}}}"


def dashboard() -> Dashboard:
    """One pipeline on one page."""
    new = page(PIPELINE_UID, "Pipeline", "The runs of one pipeline: how long, how often, what failed, and its trace.")
    new.with_variable(variable("pipeline", "Pipeline", series(names.RUN_DURATION, "count"), PIPELINE))
    new.with_variable(variable("step", "Step", series(names.STEP_RESULTS, where=_RUN), STEP, has_all=True))
    for title, panels in {
        "Runs": _runs(),
        "Failures": _failures(),
        "Steps": _steps(),
        "Retries": _retries(),
        "What steps tell": _told(),
    }.items():
        new.with_row(Row(title))
        for panel in panels:
            new.with_panel(panel)
    return new


def _runs() -> Iterator[Panel]:
    successes = series(names.RUN_DURATION, "count", {**_RUN, names.PIPELINE_RESULT: '="success"'})
    bad = series(names.RUN_DURATION, "count", {**_RUN, names.PIPELINE_RESULT: '!="success"'})
    last = largest(series(names.LAST_SUCCESS, where=_RUN))
    yield number("Runs", total(_RUNS), help_="Executions that ended in the time that is shown.")
    yield number("Failed", total(bad), bad_from=1)
    yield number("Succeeded", share(successes, _RUNS), "percentunit")
    yield number("Last success", f"time() - {last}", "s", help_="Ago.")
    yield number("Active", summed(series(names.RUNS_ACTIVE, where=_RUN)))
    yield number("Oldest active", largest(series(names.OLDEST_ACTIVE, where=_RUN)), "s")
    result = f"{{{{{label(names.PIPELINE_RESULT)}}}}}"
    yield bars("Runs by result", "none", Line(summed(grown(_RUNS), names.PIPELINE_RESULT), result))
    yield lines(
        "Duration of runs",
        "s",
        *(
            Line(quantile(level, names.RUN_DURATION, where=_RUN), f"{level:.0%}", traces=level == _LEVELS[-1])
            for level in _LEVELS
        ),
        help_="A dot is a run: it leads to its trace.",
    )
    buckets = series(names.RUN_DURATION, "bucket", _RUN)
    yield heat("Durations of runs", f"sum by (le) ({grown(buckets)})", width=24)


def _failures() -> Iterator[Panel]:
    yield failures(series(names.STEP_LAST_FAILURE, where=_OF_STEP))
    failed = series(names.STEP_RESULTS, where={**_OF_STEP, names.TASK_RESULT: '="failure"'})
    errors = series(names.RUN_ERRORS, where=_RUN)
    yield bars("Failed steps", "none", Line(summed(grown(failed), STEP), _STEP))
    error = f"{{{{{label(names.ERROR_TYPE)}}}}}"
    yield bars("Failed attempts by error", "none", Line(summed(grown(errors), names.ERROR_TYPE), error))


def _steps() -> Iterator[Panel]:
    results = series(names.STEP_RESULTS, where=_OF_STEP)
    legend = f"{_STEP} {{{{{label(names.TASK_RESULT)}}}}}"
    yield bars("Steps by result", "none", Line(summed(grown(results), STEP, names.TASK_RESULT), legend))
    buckets = series(names.STEP_DURATION, "bucket", _OF_STEP)
    yield heat("Durations of steps", f"sum by (le) ({grown(buckets)})", help_="Choose a step above for its own.")
    for level in _LEVELS:
        line = Line(quantile(level, names.STEP_DURATION, STEP, where=_OF_STEP), _STEP, traces=True)
        yield lines(f"Duration of steps, {level:.0%}", "s", line)
    attempts = quantile(_LEVELS[-1], names.ATTEMPT_DURATION, STEP, where=_OF_STEP)
    yield lines(f"Duration of attempts, {_LEVELS[-1]:.0%}", "s", Line(attempts, _STEP))
    waits = quantile(_LEVELS[-1], names.STEP_QUEUE_TIME, STEP, where=_OF_STEP)
    yield lines(
        f"Queue time, {_LEVELS[-1]:.0%}",
        "s",
        Line(waits, _STEP),
        help_="From the end of the step before to a step's start: the executor's, for pods to be scheduled and so on.",
    )
    branches = quantile(_LEVELS[-1], names.BRANCH_DURATION, STEP, names.BRANCH_NAME, where=_OF_STEP)
    branch = f"{_STEP} {{{{{label(names.BRANCH_NAME)}}}}}"
    yield lines(f"Duration of branches, {_LEVELS[-1]:.0%}", "s", Line(branches, branch), width=24)


def _retries() -> Iterator[Panel]:
    retries = series(names.STEP_RETRIES, where=_OF_STEP)
    passed = series(names.STEP_PASSED_ON_ATTEMPT, where=_OF_STEP)
    flaky = series(names.STEP_PASSED_ON_ATTEMPT, where={**_OF_STEP, names.ATTEMPT_NUMBER: '!="1"'})
    yield bars("Retries", "none", Line(summed(grown(retries), STEP), _STEP))
    yield lines(
        "Flaky steps",
        "percentunit",
        Line(f"{summed(flaky, STEP)} / {summed(passed, STEP)}", _STEP),
        help_="Share of a step's successes, ever since, that took more than one attempt.",
    )


def _told() -> Iterator[Panel]:
    legend = f"{_STEP} {{{{{label(names.METRIC_NAME)}}}}}"
    yield lines(
        "User metrics over runs",
        "none",
        Line(series(names.USER_METRIC, where=_OF_STEP), legend),
        help_="What steps told with `metric(…)`, as the newest attempt did.",
    )
    items = series(names.CATALOG_ITEMS, where=_OF_STEP)
    stage = f"{_STEP} {{{{{label(names.CATALOG_STAGE)}}}}}"
    yield bars("Catalog items", "none", Line(summed(grown(items), STEP, names.CATALOG_STAGE), stage))
