"""`runlog-otel runs`: lists runs, or compares them side by side."""

from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from runlog_otel.cli import output
from runlog_otel.cli.guard import FAILED, problem_of
from runlog_otel.cli.loading import source
from runlog_otel.cli.options import AsJson, ConfigFile, SourceUrl
from runlog_otel.cli.output import cell
from runlog_otel.core.redaction import MASK, Redaction, redacted
from runlog_otel.errors import ConfigError, RunLogFormatError, SourceError, StoreError
from runlog_otel.sources.moments import moment_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runlog_otel.sources.listing import Listing
    from runlog_otel.sources.port import Source
    from runlog_otel.stores.compare import ComparedRun
    from runlog_otel.stores.entries import Document
    from runlog_otel.stores.run_list import Page, RunSummary
    from runlog_otel.stores.sql.history import RunHistory

_Result = TypeVar("_Result")
Text = Annotated[str, typer.Option(show_default=False)]

_STYLES = {"SUCCESS": "green", "FAIL": "red", "PROCESSING": "yellow"}
_MAX_COMPARED = 20
_TABLE_WIDTH = 10_000
"""Tables are as wide as their content: a shortened run id cannot be copied."""


def runs(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Only these.", metavar="RUN_ID")] = None,
    status: Annotated[str, typer.Option(help="SUCCESS, FAIL, PROCESSING …", show_default=False)] = "",
    tag: Text = "",
    pipeline: Text = "",
    since: Annotated[str, typer.Option(help="Created in the last 30m, 24h, 7d …, or since a time.")] = "",
    until: Annotated[str, typer.Option(help="Created before this age or time.")] = "",
    failure: Annotated[str, typer.Option(help="Text in the message of a failed step.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Runs per page.")] = 50,
    after: Annotated[str, typer.Option(help="Where the previous page ended.", show_default=False)] = "",
    is_compared: Annotated[
        bool, typer.Option("--compare", help="Side by side: durations of steps, metrics, revision; 20 at most.")
    ] = False,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List runs, newest first, or compare them. A SQL store is queried; other sources read every run.

    Exit status: 0 all is shown, 1 a run cannot be read: it is reported and skipped.
    """
    from runlog_otel.sources.listing import history_of
    from runlog_otel.stores.run_list import RunFilter

    run_filter = RunFilter(
        run_ids or (), status.upper(), tag, pipeline, moment_ns(since, "--since"), moment_ns(until, "--until"), failure
    )
    loaded = source(url, config)
    history, patterns = history_of(loaded), loaded.settings.policy.patterns
    if is_compared:
        limit = min(limit, _MAX_COMPARED)
    page = history.page(run_filter, after=after or None, limit=limit)
    if is_compared:
        skipped = _compare(loaded, page, limit, as_json=as_json)
    else:
        shown, skipped = _results_of_readable(page.runs, lambda run: _clean(run, history, patterns))
        _list(replace(page, runs=tuple(shown)), [*skipped, *history.unread], as_json=as_json)
    if skipped or history.unread:
        raise typer.Exit(FAILED)


def _results_of_readable(
    runs: "Iterable[RunSummary]", result_of: "Callable[[RunSummary], _Result]"
) -> "tuple[list[_Result], list[str]]":
    """Apply a function to each run; one that fails is reported and skipped. Returns the results and the skipped ids.

    Raises:
        StoreError: the database cannot be reached.
        SourceError: the source cannot be reached.
    """
    results: list[_Result] = []
    skipped: list[str] = []
    for run in runs:
        try:
            results.append(result_of(run))
        except (StoreError, SourceError):  # noqa: PERF203 the guard is per run
            raise
        except Exception as error:  # noqa: BLE001 one bad run must not stop the others
            skipped.append(run.run_id)
            output.problem(f"{run.run_id} is skipped: {problem_of(error)}")
    return results, skipped


def _clean(run: "RunSummary", history: "RunHistory | Listing", patterns: tuple[str, ...]) -> "RunSummary":
    """A run as it is shown, without secrets."""
    try:
        fingerprints = history.secret_fingerprints(run.run_id)
    except RunLogFormatError:  # its secrets are unknown
        return replace(run, tag=run.tag and MASK, pipeline=run.pipeline and MASK)
    redaction = Redaction(patterns, run.run_id, fingerprints)
    return replace(run, tag=redaction(run.tag), pipeline=redaction(run.pipeline))


def _compared(document: "Document", patterns: tuple[str, ...]) -> "ComparedRun":
    from runlog_otel.core.runlogs.json_runlog import run_from_log
    from runlog_otel.stores.compare import compared

    run = run_from_log(document)
    try:
        column = compared(document)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunLogFormatError(f"the log of {run.run_id!r}", redacted(str(error))) from error
    marks = {mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks}
    redaction = Redaction(patterns, run.run_id, (*run.header.marks, *marks))
    return replace(
        column,
        durations_seconds={redaction(name): seconds for name, seconds in column.durations_seconds.items()},
        metrics=redaction.of_value(column.metrics),
    )


def _list(page: "Page", not_listed: list[str], *, as_json: bool) -> None:
    if as_json:
        output.document({"runs": [asdict(run) for run in page.runs], "after": page.after, "not_listed": not_listed})
        return
    table = output.table("run", "status", "pipeline", "tag", "created", "took", "steps", "failed")
    for run in page.runs:
        table.add_row(
            cell(run.run_id),
            cell(run.status, _STYLES.get(run.status, "")),
            cell(run.pipeline),
            cell(run.tag),
            time_text(run.created_ns),
            _took(run.started_ns, run.ended_ns),
            str(run.steps),
            str(run.failed_steps or ""),
        )
    output.rendered(table, width=_TABLE_WIDTH)
    if page.after:
        output.line(f"more: --after {page.after}")


def _compare(source: "Source", page: "Page", limit: int, *, as_json: bool) -> list[str]:
    logs = source.run_logs()
    if logs is None:
        raise ConfigError("--compare", f"{source.where} has no run logs of runnable or magnus")
    patterns = source.settings.policy.patterns
    columns, skipped = _results_of_readable(page.runs, lambda run: _compared(logs.document(run.run_id), patterns))
    if as_json:
        output.document([asdict(column) for column in columns])
    else:
        _print_compared(columns)
        if page.after:
            output.line(f"only the newest {limit} are compared")
    return skipped


def _print_compared(columns: "list[ComparedRun]") -> None:
    from runlog_otel.stores.compare import names_of

    table = output.table("", *(column.run_id for column in columns))
    table.add_row("status", *(cell(column.status, _STYLES.get(column.status, "")) for column in columns))
    table.add_row("revision", *(cell(column.revision[:8] + column.revision[40:]) for column in columns))
    for name in names_of(column.durations_seconds for column in columns):
        seconds = [column.durations_seconds.get(name) for column in columns]
        table.add_row(cell(name), *("" if value is None else f"{value:.3f} s" for value in seconds))
    for name in names_of(column.metrics for column in columns):
        table.add_row(cell(name), *(cell(_shown(column.metrics.get(name))) for column in columns))
    output.rendered(table, width=_TABLE_WIDTH)


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def time_text(ns: int) -> str:
    """A time for people, in the local time zone; in nanoseconds if it is outside the calendar."""
    try:
        return datetime.fromtimestamp(ns / 1e9, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{ns} ns"


def _took(started_ns: int | None, ended_ns: int | None) -> str:
    if started_ns is None or ended_ns is None:
        return ""
    return f"{max(0, ended_ns - started_ns) / 1e9:.3f} s"
