"""The dashboard "Pipelines": all of them, and runlog-otel itself."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.expressions import (
    BAD,
    FAILED,
    PIPELINE,
    STEP,
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
    PIPELINES_UID,
    Column,
    Line,
    Panel,
    bars,
    failures,
    lines,
    number,
    page,
    pipeline_link,
    rows,
)
from runlog_otel.core import semconv

_RUNS = series(semconv.RUN_DURATION, "count")
_SUCCESSES = series(semconv.RUN_DURATION, "count", {semconv.PIPELINE_RESULT: '="success"'})
_FAILURES = series(semconv.RUN_DURATION, "count", {semconv.PIPELINE_RESULT: BAD})
_STEP_FAILURES = series(semconv.STEP_RESULTS, where={semconv.TASK_RESULT: FAILED})
_LAST_POLL = series(semconv.EXPORTER_LAST_POLL)
_LAST_SUCCESS = series(semconv.LAST_SUCCESS)


def dashboard() -> Dashboard:
    """All pipelines on one page."""
    help_ = "Every pipeline at a glance, and the health of runlog-otel itself."
    new = page(PIPELINES_UID, "Pipelines", help_, pages="/")
    for panel in (*_numbers(), _overview(), *_graphs(), failures(series(semconv.STEP_LAST_FAILURE)), _alerts()):
        new.with_panel(panel)
    new.with_row(Row("runlog-otel"))
    for own in _own():
        new.with_panel(own)
    return new


def _numbers() -> Iterator[Panel]:
    of = "in the selected time range"
    yield number("Runs", total(_RUNS), help_=f"Executions that ended {of}.")
    yield number(
        "Failed", total(_FAILURES), bad_from=1, help_=f"Executions that failed, timed out or never ended, {of}."
    )
    yield number("Succeeded", share(_SUCCESSES, _RUNS), "percentunit")
    yield number("Active", summed(series(semconv.RUNS_ACTIVE)), help_="Runs that have not ended.")
    yield number("Oldest active", largest(series(semconv.OLDEST_ACTIVE)), "s")
    yield number("Unsent", summed(series(semconv.RUNS_UNSENT)), bad_from=1, help_="Runs whose trace is incomplete.")


def _overview() -> Panel:
    columns = [
        Column(label(PIPELINE), "pipeline", link=pipeline_link()),
        Column("Value #A", "runs"),
        Column("Value #B", "succeeded", "percentunit"),
        Column("Value #C", "median", "s"),
        Column("Value #D", "95 %", "s"),
        Column("Value #E", "active"),
        Column("Value #F", "oldest active", "s"),
        Column("Value #G", "last success", "dateTimeFromNow"),
    ]
    expressions = {
        "A": total(_RUNS, PIPELINE),
        "B": share(_SUCCESSES, _RUNS, PIPELINE),
        "C": quantile(0.5, semconv.RUN_DURATION, PIPELINE, window="$__range"),
        "D": quantile(0.95, semconv.RUN_DURATION, PIPELINE, window="$__range"),
        "E": summed(series(semconv.RUNS_ACTIVE), PIPELINE),
        "F": largest(series(semconv.OLDEST_ACTIVE), PIPELINE),
        "G": f"{largest(_LAST_SUCCESS, PIPELINE)} * 1000",
    }
    return rows("Pipelines", columns, expressions, joined=PIPELINE)


def _graphs() -> Iterator[Panel]:
    pipeline, result = f"{{{{{label(PIPELINE)}}}}}", f"{{{{{label(semconv.PIPELINE_RESULT)}}}}}"
    yield bars("Runs by result", "none", Line(summed(grown(_RUNS), semconv.PIPELINE_RESULT), result))
    yield lines(
        "Duration of runs, 95 %",
        "s",
        Line(quantile(0.95, semconv.RUN_DURATION, PIPELINE), pipeline, traces=True),
        help_="A dot is a run: it leads to its trace.",
    )
    yield bars(
        "Failed steps",
        "none",
        Line(summed(grown(_STEP_FAILURES), PIPELINE, STEP), f"{pipeline} · {{{{{label(STEP)}}}}}"),
    )
    yield lines("Active runs", "none", Line(summed(series(semconv.RUNS_ACTIVE), PIPELINE), pipeline))


def _alerts() -> Panel:
    columns = [
        Column("alertname", "alert"),
        Column("severity", "severity"),
        Column(label(PIPELINE), "pipeline", link=pipeline_link()),
        Column(label(STEP), "step"),
    ]
    firing = 'ALERTS{alertname=~"Runlog.*", alertstate="firing"}'
    return rows("Alerts that are firing", columns, {"A": firing}, help_="As Prometheus evaluates them.")


def _own() -> Iterator[Panel]:
    yield number("Last poll", f"time() - {largest(_LAST_POLL)}", "s", bad_from=300, help_="Time since then.")
    yield number("Poll took", largest(series(semconv.EXPORTER_POLL_DURATION)), "s")
    yield number("Runs read", total(series(semconv.EXPORTER_RUNS_READ)))
    yield number("Failures of polls", total(series(semconv.EXPORTER_FAILURES)), bad_from=1)
    yield number("Spans acknowledged", total(series(semconv.SPANS_EXPORTED, where={semconv.ERROR_TYPE: '=""'})))
    yield number(
        "Points overflowed",
        total(series(semconv.OVERFLOWED)),
        bad_from=1,
        help_="Above 0: there are more label sets than `metrics.max_series` allows, and the panels are incomplete.",
    )
    yield lines("Size of the SQL store", "bytes", Line(largest(series(semconv.STORE_SIZE)), "size"), width=24)
