"""`runlog-otel export`: maps runs from their logs again and sends them whole."""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.closing import HowEnded, close_runs
from runlog_otel.cli.exporting import Candidate, ExportOptions, Outcome, exported
from runlog_otel.cli.loading import log_file, outboxes, settings_for, source
from runlog_otel.cli.options import AsJson, ConfigFile, Endpoint, SourceUrl, age
from runlog_otel.errors import ConfigError, RunlogOtelError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.replay import MAX_FAILURES
from runlog_otel.exporters.traces.sink import require_sending
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source

Forgotten = Annotated[
    list[str] | None,
    typer.Option(
        "--forget",
        help="Send nothing; remove this run from the list of --unsent, for example when its log is gone. Can be "
        "repeated.",
        metavar="RUN_ID",
        show_default=False,
    ),
]
Logs = Annotated[
    bool | None,
    typer.Option(
        "--logs/--no-logs",
        help="Also send the output of attempts, from the host's catalog; default: with --unsent, if `logs` is set.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent or forgotten; do nothing.")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="How many processes; default: one per core for many runs, else one.", show_default=False),
]
Ended = Annotated[
    HowEnded | None,
    typer.Option(
        "--as",
        help="Close named runs that have not ended, and note in their logs that somebody cancelled them, or that a "
        "deadline did.",
        show_default=False,
    ),
]
_MIN_RUNS_PER_JOB = 100
"""Fewer take less time than another process does to begin."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs are selected, and whether with their logs: None if these may be unsent."""

    named: tuple[str, ...] = ()
    every: bool = False
    since: str = ""
    unsent: bool = False
    logs: bool | None = None

    def has_logs(self, settings: Settings) -> bool:
        """Whether to send logs: a backend that has them already would have them twice."""
        return self.unsent and settings.logs != "none" if self.logs is None else self.logs


def export(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run ids, or JSON files of run logs.", metavar="RUN_ID|FILE.json")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    since: Annotated[
        str, typer.Option(help="Runs written in the last 30m, 24h, 7d …", metavar="AGE", show_default=False)
    ] = "",
    unsent: Annotated[bool, typer.Option("--unsent", help="Runs with anything that was not acknowledged.")] = False,
    abandoned: Annotated[
        bool, typer.Option("--abandoned", help="Close runs that have not ended: nothing more is recorded of them.")
    ] = False,
    logs: Logs = None,
    how: Ended = None,
    forgotten: Forgotten = None,
    endpoint: Endpoint = "",
    jobs: Jobs = None,
    dry_run: DryRun = False,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Send whole runs from their logs; a backend drops what it already has.

    A run that cannot be read, mapped or sent is reported and skipped. Exit status: 0 all acknowledged, 1 something was
    not, 2 the call or the config is wrong.
    """
    selection = Selection(tuple(runs or ()), every=every, since=since, unsent=unsent, logs=logs)
    if forgotten:
        if selection != Selection():
            raise ConfigError("--forget", "sends nothing; do not select other runs in the same call")
        forget_runs(forgotten, outboxes(url, settings_for(url, config)), dry_run=dry_run, as_json=as_json)
        return
    gc.set_threshold(100_000)  # spans make no cycles: 6.4 instead of 7.0 s of CPU for 40,400 spans
    loaded = source(url, config, endpoint=endpoint)
    if how:
        _close(how, loaded, selection, dry_run=dry_run)
    status = export_runs(
        loaded,
        selection,
        outboxes(url, loaded.settings),
        close=abandoned or how is not None,
        dry_run=dry_run,
        as_json=as_json,
        jobs=jobs,
        load=partial(source, url, config, endpoint=endpoint),
    )
    raise typer.Exit(status)


def _close(how: HowEnded, source: Source, selection: Selection, *, dry_run: bool) -> None:
    if selection != Selection(selection.named) or any(map(log_file, selection.named)):
        raise ConfigError("--as", "closes runs of a store by their ids: name them, and select no others")
    close_runs(source, selection.named, how, dry_run=dry_run)


def export_runs(
    source: Source,
    selection: Selection,
    folders: Sequence[Path],
    *,
    close: bool,
    dry_run: bool,
    as_json: bool,
    jobs: int | None = 1,
    load: Callable[[], Source] | None = None,
) -> int:
    """Send the selected runs.

    Args:
        source: the runs, and the settings of the export.
        selection: which runs.
        folders: the outboxes of the source; the first records what is not acknowledged now.
        close: close executions that have not ended.
        dry_run: only say what would be sent.
        as_json: print the outcomes as JSON.
        jobs: how many processes; None for as many as the selection is worth.
        load: makes the source again, in other processes; without it there are none.

    Returns:
        The exit status: 1 if something was not acknowledged.
    """
    has_logs = selection.has_logs(source.settings)
    options = ExportOptions(tuple(folders), close=close, dry_run=dry_run, has_logs=has_logs)
    candidates = _candidates(source, selection, options.folders)
    require_sending(source.settings)
    if jobs is None:
        jobs = _jobs_for(source, selection, options.folders)
    if jobs > 1 and load is not None:
        from runlog_otel.cli.jobs import exported_by

        source.close()  # no connection crosses a fork
        outcomes = exported_by(jobs, candidates, load, options)
    else:
        outcomes = exported(candidates, source, options)
    report = _Report(source.settings, dry_run=dry_run, as_json=as_json)
    with closing(outcomes), _advance(is_shown=not dry_run and sys.stderr.isatty()) as advance:
        try:
            for outcome in outcomes:
                report.add(outcome)
                advance()
        except RunlogOtelError:
            if report.spans:
                report.end()
            raise
    return report.end()


def _jobs_for(source: Source, selection: Selection, folders: Sequence[Path]) -> int:
    """How many processes a selection is worth; of other exporters than OTLP several may write to one place."""
    if selection.named or source.settings.exporters != ("otlp",):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    first = islice(_candidates(source, selection, folders), cores * _MIN_RUNS_PER_JOB if cores > 1 else 0)
    return max(1, sum(1 for _ in first) // _MIN_RUNS_PER_JOB)


@contextmanager
def _advance(*, is_shown: bool) -> Iterator[Callable[[], None]]:
    """What to call after each run: it moves a progress bar, for people."""
    if not is_shown:  # the import of the bar takes 40 ms
        yield lambda: None
        return
    with output.progress() as progress:
        task = progress.add_task("sending", total=None)
        yield lambda: progress.advance(task)


def _candidates(source: Source, selection: Selection, folders: Sequence[Path]) -> Iterator[Candidate]:
    """The selected runs, listed as they are asked for; raises ConfigError at once."""
    if not (selection.named or selection.every or selection.since or selection.unsent):
        raise ConfigError("export", "say which runs: RUN_ID …, FILE.json …, --all, --since 24h or --unsent")
    unsent = {marker.run_id: marker.is_abandoned for folder in folders for marker in Outbox(folder)}
    names: dict[str, Path | None] = {}
    for name in selection.named:
        names[name] = log_file(name)
    if selection.unsent:
        names |= dict.fromkeys(unsent)
    oldest = datetime.now(timezone.utc) - age(selection.since, "--since") if selection.since else None
    since_ns = 0 if oldest is None else int(oldest.timestamp() * 1e9)

    asked_for = frozenset(selection.named)

    def every_name() -> Iterator[str]:
        yield from names
        if selection.every or selection.since:
            yield from (run.run_id for run in source.changes(since_ns) if run.run_id not in names)

    return (
        Candidate(name, names.get(name), unsent.get(name, False), is_asked_for=name in asked_for)
        for name in every_name()
    )


def forget_runs(run_ids: Sequence[str], folders: Sequence[Path], *, dry_run: bool, as_json: bool) -> None:
    """Remove runs from the list of unsent runs; one that is not on it is ignored.

    Args:
        run_ids: which.
        folders: the outboxes that remember them.
        dry_run: only say which are remembered.
        as_json: print that as JSON.
    """
    outboxes = [Outbox(folder) for folder in folders]
    remembered = {run_id: any(run_id in outbox for outbox in outboxes) for run_id in run_ids}
    if not dry_run:
        for outbox in outboxes:
            for run_id in remembered:
                outbox.discard(run_id)
    if as_json:
        runs = [{"run_id": run_id, "was_remembered": was} for run_id, was in remembered.items()]
        output.document({"runs": runs, "is_dry_run": dry_run})
        return
    for run_id, was in remembered.items():
        output.line(f"{run_id}: {_forgotten(dry_run) if was else 'was not remembered as unsent'}")


def _forgotten(dry_run: bool) -> str:
    return "would be forgotten" if dry_run else "is forgotten and will not be sent"


@dataclass(slots=True)
class _Report:
    """Says what became of each run, when it is known, and of all of them at the end."""

    settings: Settings
    dry_run: bool
    as_json: bool
    runs: int = 0
    spans: int = 0
    log_records: int = 0
    not_tried: int = 0
    has_problems: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    """Only for JSON, which is one document."""

    def add(self, outcome: Outcome | None) -> None:
        """Say what became of a run, or count one that was not tried."""
        if outcome is None:
            self.not_tried += 1
            return
        self.has_problems |= bool(outcome.problem)
        if outcome.spans and (self.dry_run or outcome.is_acknowledged):
            self.runs += 1
            self.spans += outcome.spans
            self.log_records += outcome.log_records
        if self.as_json:
            self.outcomes.append(outcome)
        elif outcome.problem:
            output.problem(f"{outcome.run_id}: {outcome.problem}")
        elif self.dry_run:
            output.line(f"{outcome.run_id}  {outcome.executions} executions  {outcome.spans} spans{_note(outcome)}")
        elif not outcome.is_complete:
            output.note(f"{outcome.run_id}{_note(outcome)}")

    def end(self) -> int:
        """Say what became of all of them; returns the exit status."""
        if self.as_json:
            output.document({"runs": [asdict(outcome) for outcome in self.outcomes], "not_tried": self.not_tried})
        else:
            if self.not_tried:
                output.problem(
                    f"stopped after {MAX_FAILURES} consecutive failures; {self.not_tried} more runs were not tried"
                )
            what, where = f"{self.runs} runs, {self.spans} spans", self.settings.destination
            what += f", {self.log_records} log records" if self.log_records else ""
            output.line(f"{what} would go to {where}" if self.dry_run else f"{what} acknowledged by {where}")
        return 1 if self.not_tried or self.has_problems else 0


def _note(outcome: Outcome) -> str:
    if outcome.is_complete:
        return ""
    return "  has not ended: only its final parts are sent; --abandoned or --as closes it"
