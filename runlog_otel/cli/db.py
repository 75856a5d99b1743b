"""`runlog-otel db`: creates, inspects, prunes and checks the database of a SQL store; copies runs between stores."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runlog_otel.cli import loading, output
from runlog_otel.cli.options import AsJson, ConfigFile, DatabaseUrl
from runlog_otel.cli.runs import time_text
from runlog_otel.errors import ConfigError
from runlog_otel.sources.moments import MAX_AGE

if TYPE_CHECKING:
    from runlog_otel.sources.port import Source
    from runlog_otel.stores.sql.retention import RetainedSqlStore

db = typer.Typer(
    name="db",
    help="The database of a SQL store; copies between stores.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@db.command()
def upgrade(
    url: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Create the tables, or upgrade them to this program's version."""
    from runlog_otel.stores.sql.names import REVISION
    from runlog_otel.stores.sql.upgrade import upgrade_database

    database = sql_store(loading.source(url, config), must_exist=False).database
    is_changed = upgrade_database(database)
    if as_json:
        output.document({"where": database.where, "schema": REVISION, "is_changed": is_changed})
    else:
        output.line(f"{database.where}: {'upgraded to' if is_changed else 'is at'} version {REVISION}")


@db.command()
def stats(url: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Count runs by status; show age, size and version."""
    from runlog_otel.stores.sql.history import RunHistory

    store = sql_store(loading.source(url, config))
    statistics = asdict(RunHistory(store).stats())
    if as_json:
        output.document({"where": store.database.where, **statistics})
        return
    output.line(store.database.where)
    for name in ("total", "running", "completed", "failed", "deleted", "size_bytes", "schema"):
        output.line(f"{name.replace('_', ' '):11}{statistics[name]}")
    for name in ("oldest_ns", "newest_ns"):
        if statistics[name] is not None:
            output.line(f"{name[:-3]:11}{time_text(statistics[name])}")


@db.command()
def prune(
    days: Annotated[
        float | None, typer.Option(help="Default: retention_days of the config.", show_default=False)
    ] = None,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Print how many runs would be deleted; delete none.")
    ] = False,
    url: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Delete finished runs whose last write is older than --days."""
    from runlog_otel.stores.sql import retention

    store = sql_store(loading.source(url, config))
    age = store.retention_days if days is None else days
    if days is None and not age:
        raise ConfigError("--days", "is required: retention_days is not set")
    if not 0 <= age <= MAX_AGE.days:  # also refuses NaN
        raise ConfigError("--days", f"must be from 0 to {MAX_AGE.days}")
    count = retention.expired(store.database, age)
    if not is_dry:
        with output.progress() as progress:
            task = progress.add_task("runs", total=count)
            count = retention.prune(store.database, age, lambda done: progress.update(task, completed=done))
    if as_json:
        output.document({"runs": count, "days": age, "is_dry_run": is_dry})
    else:
        output.line(f"{count} runs {'would be' if is_dry else 'were'} deleted: finished, and older than {age:g} days")


@db.command()
def delete(
    run_ids: Annotated[list[str] | None, typer.Argument(help="These runs.", metavar="RUN_ID")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run, finished or not.")] = False,
    is_confirmed: Yes = False,
    url: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Delete runs of any status, after asking for confirmation."""
    from runlog_otel.stores.sql import retention

    if bool(run_ids) == every:
        raise ConfigError("delete", "name runs, or say --all")
    store = sql_store(loading.source(url, config))
    if not is_confirmed:
        typer.confirm(f"delete {'every run' if every else f'{len(run_ids or ())} runs'}", abort=True, err=True)
    count = retention.clear(store.database) if every else retention.delete_runs(store.database, run_ids or ())
    if as_json:
        output.document({"runs": count})
    else:
        output.line(f"{count} runs were deleted")


@db.command()
def check(url: DatabaseUrl = "", config: ConfigFile = "", as_json: AsJson = False) -> None:
    """Check for damage: pages, counts, parents, headers, documents. Exit status 1 if there is any."""
    from runlog_otel.stores.sql.check import problems

    store = sql_store(loading.source(url, config))
    damage = problems(store.database)
    if as_json:
        output.document({"where": store.database.where, "problems": damage})
    else:
        output.lines(*(damage or [f"{store.database.where}: nothing is wrong"]))
    raise typer.Exit(1 if damage else 0)


@db.command()
def copy(
    source: Annotated[str, typer.Option("--from", help="The source: a config file, a folder, or the URL of a store.")],
    target: Annotated[str, typer.Option("--to", help="The target: a config file, or the URL of a database.")],
    run_ids: Annotated[list[str] | None, typer.Argument(help="Only these.", metavar="RUN_ID")] = None,
    is_overwriting: Annotated[bool, typer.Option("--overwrite", help="Merge into runs that differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy run logs from one store to another. The oldest comes first; each is read back and compared.

    Runs that are already there are skipped, so the same command resumes an interrupted copy.
    Exit status: 0 all are there, 1 some are not.
    """
    from runlog_otel.sources.copying import COPIED, DIFFERS, FAILED, THERE, copy_runs

    read = loading.source(source, "")
    read_logs = read.run_logs()
    if read_logs is None:
        raise ConfigError(read.where, "has no run logs of runnable or magnus to copy")
    names = run_ids or [run.run_id for run in read.changes(0)]
    written = loading.source(target, "")
    written_logs = written.target()
    if written_logs is None:
        raise ConfigError(written.where, "takes no run logs; name a config file or a database")

    outcomes: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    with output.progress() as progress:
        for done in progress.track(
            copy_runs(read_logs, written_logs, names, is_overwriting=is_overwriting), total=len(names)
        ):
            outcomes[done.outcome] += 1
            if done.problem:
                wrong.append(asdict(done))
    counts = {outcome: outcomes[outcome] for outcome in (COPIED, THERE, DIFFERS, FAILED)}
    if as_json:
        output.document({**counts, "problems": wrong})
    else:
        for problem in wrong:
            output.note(f"{problem['run_id']}: {problem['problem']}")
        output.line(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    raise typer.Exit(1 if wrong else 0)


def sql_store(source: "Source", *, must_exist: bool = True) -> "RetainedSqlStore":
    """The SQL store of a source; raises ConfigError if it is not one of ours."""
    store = source.sql_store(must_exist=must_exist)
    if store is None:
        raise ConfigError(source.where, "is not a store of type sql; name one with --source or --config")
    return store
