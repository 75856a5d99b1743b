"""`runlog-otel runs`: runs as a list, or side by side."""

import json
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runlog_otel.cli.options import AsJson, ConfigFile, SourceUrl, age_from_text
from runlog_otel.errors import ConfigError, RunLogFormatError
from runlog_otel.names import HEADER_KEY
from runlog_otel.redaction import MASK, Redaction

if TYPE_CHECKING:
    from rich.console import Console

    from runlog_otel.plugins.project import Project
    from runlog_otel.sources import RunLogs, Source
    from runlog_otel.sources.listing import Listing
    from runlog_otel.stores.compare import ComparedRun
    from runlog_otel.stores.entries import Document
    from runlog_otel.stores.sql.history import Page, RunHistory, RunSummary
    from runlog_otel.stores.sql.retention import RetainedSqlStore

Text = Annotated[str, typer.Option(show_default=False)]

_STYLES = {"SUCCESS": "green", "FAIL": "red", "PROCESSING": "yellow"}
_MAX_COMPARED = 20


def runs(
    run_ids: Annotated[list[str] | None, typer.Argument(help="Only these.", metavar="RUN_ID")] = None,
    status: Annotated[str, typer.Option(help="SUCCESS, FAIL, PROCESSING …", show_default=False)] = "",
    tag: Text = "",
    pipeline: Text = "",
    since: Annotated[str, typer.Option(help="Created in the last 30m, 24h, 7d …, or since a time.")] = "",
    until: Annotated[str, typer.Option(help="Created before that.")] = "",
    failure: Annotated[str, typer.Option(help="Text in the message of a failed step.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Runs per page.")] = 50,
    after: Annotated[str, typer.Option(help="Where the page before ended.", show_default=False)] = "",
    is_compared: Annotated[
        bool, typer.Option("--compare", help="Side by side: durations of steps, metrics, revision; 20 at most.")
    ] = False,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """List runs, newest first, or compare them. A SQL store has them at hand; elsewhere each is read."""
    from runlog_otel.cli.loading import source
    from runlog_otel.stores.sql.history import RunFilter

    wanted = RunFilter(
        run_ids or (), status.upper(), tag, pipeline, moment_ns(since, "since"), moment_ns(until, "until"), failure
    )
    loaded = source(url, config)
    history, patterns = history_of(loaded), loaded.settings.disclosure.patterns
    if is_compared:
        limit = min(limit, _MAX_COMPARED)
    page = history.page(wanted, after=after or None, limit=limit)
    if is_compared:
        _compare(loaded, page, limit, as_json=as_json)
    else:
        _list(replace(page, runs=tuple(_clean(run, history, patterns) for run in page.runs)), as_json=as_json)


def history_of(source: "Source") -> "RunHistory | Listing":
    """What lists the runs of a source."""
    from runlog_otel.plugins.project import Project
    from runlog_otel.plugins.stores import SqlPlugin
    from runlog_otel.sources.listing import Listing
    from runlog_otel.sources.sql import SqlRuns
    from runlog_otel.stores.sql.history import RunHistory

    if isinstance(source, SqlRuns) or (isinstance(source, Project) and isinstance(source.store, SqlPlugin)):
        return RunHistory(sql_store(source))
    return Listing(source)


def sql_store(source: "Source", *, is_to_exist: bool = True) -> "RetainedSqlStore":
    """The SQL store of a source; a SQLite file that is not there is not made unless said so.

    Raises:
        ConfigError: it is no SQL store of ours.
    """
    from runlog_otel.plugins.project import Project
    from runlog_otel.plugins.stores import SqlPlugin
    from runlog_otel.sources.sql import SqlRuns
    from runlog_otel.stores.sql.retention import RetainedSqlStore

    if isinstance(source, SqlRuns):
        if is_to_exist:
            source.database.refuse_missing()
        return RetainedSqlStore(source.database, retention_days=0)
    if not (isinstance(source, Project) and isinstance(source.store, SqlPlugin)):
        raise ConfigError(source.where, "is no store of type sql; name one by --source or --config")
    store: RetainedSqlStore = source.store.opened(is_to_exist=is_to_exist)
    return store


def moment_ns(text: str, option: str) -> int | None:
    """Nanoseconds since the epoch of an age (`30m`) or an ISO time, local when it has no offset; None for "".

    Raises:
        ConfigError: it is neither.
    """
    if not text:
        return None
    if (age := age_from_text(text)) is not None:
        moment = datetime.now(timezone.utc) - age
    else:
        try:
            moment = datetime.fromisoformat(text).astimezone()
        except ValueError as error:
            raise ConfigError(f"--{option}", f"{text!r} is neither an age (30m, 24h, 7d, 2w) nor a time") from error
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _clean(run: "RunSummary", history: "RunHistory | Listing", patterns: tuple[str, ...]) -> "RunSummary":
    """What is shown of a run, without secrets."""
    from runlog_otel.documents import header_from_config
    from runlog_otel.stores.sql.history import RunHistory

    try:
        config = history.store.config(run.run_id, HEADER_KEY) if isinstance(history, RunHistory) else {}
    except RunLogFormatError:  # nobody knows what is secret in it
        return replace(run, tag=run.tag and MASK, pipeline=run.pipeline and MASK)
    redaction = Redaction(patterns, run.run_id, header_from_config(config).marks)
    return replace(run, tag=redaction(run.tag), pipeline=redaction(run.pipeline))


def _column(source: "RunLogs | Project", run_id: str, patterns: tuple[str, ...]) -> "ComparedRun | None":
    try:
        return _compared(source.document(run_id), patterns)
    except RunLogFormatError as error:
        typer.echo(f"not compared: {error}", err=True)
        return None


def _compared(document: "Document", patterns: tuple[str, ...]) -> "ComparedRun":
    from runlog_otel.documents import run_from_log
    from runlog_otel.stores.compare import compared

    run, column = run_from_log(document), compared(document)
    marks = {mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks}
    redaction = Redaction(patterns, run.run_id, (*run.header.marks, *marks))
    return replace(
        column,
        durations_seconds={redaction(name): seconds for name, seconds in column.durations_seconds.items()},
        metrics=redaction.of_value(column.metrics),
    )


def _list(page: "Page", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"runs": [asdict(run) for run in page.runs], "after": page.after}, indent=2))
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("run", "status", "pipeline", "tag", "created", "took", "steps", "failed", box=None, pad_edge=False)
    for run in page.runs:
        table.add_row(
            escape(run.run_id),
            f"[{_STYLES.get(run.status, 'default')}]{escape(run.status)}[/]",
            escape(run.pipeline),
            escape(run.tag),
            time_text(run.created_ns),
            _took(run.started_ns, run.ended_ns),
            str(run.steps),
            str(run.failed_steps or ""),
        )
    _console().print(table)
    if page.after:
        typer.echo(f"more: --after {page.after}")


def _compare(source: "Source", page: "Page", limit: int, *, as_json: bool) -> None:
    from runlog_otel.plugins.project import Project
    from runlog_otel.sources import RunLogs

    if not isinstance(source, RunLogs | Project):
        raise ConfigError("--compare", f"{source.where} has no run logs of runnable or magnus")
    patterns = source.settings.disclosure.patterns
    columns = [column for run in page.runs if (column := _column(source, run.run_id, patterns))]
    if as_json:
        typer.echo(json.dumps([asdict(column) for column in columns], indent=2))
    else:
        _print_compared(columns)
        if page.after:
            typer.echo(f"only the newest {limit} are compared")


def _print_compared(columns: "list[ComparedRun]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from runlog_otel.stores.compare import names_of

    table = Table("", *(escape(column.run_id) for column in columns), box=None, pad_edge=False)
    table.add_row("status", *(f"[{_STYLES.get(c.status, 'default')}]{escape(c.status)}[/]" for c in columns))
    table.add_row("revision", *(column.revision[:8] + column.revision[40:] for column in columns))
    for name in names_of(column.durations_seconds for column in columns):
        seconds = [column.durations_seconds.get(name) for column in columns]
        table.add_row(escape(name), *("" if value is None else f"{value:.3f} s" for value in seconds))
    for name in names_of(column.metrics for column in columns):
        table.add_row(escape(name), *(escape(_shown(column.metrics.get(name))) for column in columns))
    _console().print(table)


def _console() -> "Console":
    from rich.console import Console

    # Tables are as wide as what is in them: a run id that is cut cannot be copied.
    return Console(width=10_000, highlight=False)


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def time_text(ns: int) -> str:
    """A time for people, in the local time zone."""
    return datetime.fromtimestamp(ns / 1e9, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _took(started_ns: int | None, ended_ns: int | None) -> str:
    if started_ns is None or ended_ns is None:
        return ""
    return f"{max(0, ended_ns - started_ns) / 1e9:.3f} s"
