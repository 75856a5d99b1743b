"""`runlog-otel export`: maps runs from their logs again and sends them whole."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.guard import problem_of
from runlog_otel.cli.loading import log_file, outboxes, settings_for, source
from runlog_otel.cli.options import AsJson, ConfigFile, Endpoint, SourceUrl, age
from runlog_otel.errors import ConfigError, DeliveryError, RunNotFoundError, TooLargeError
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.resend import raise_if_refused, send_trace
from runlog_otel.exporters.traces.sink import require_sending, sink_from
from runlog_otel.mapping import sends, traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.sources.files import run_from_file
from runlog_otel.sources.port import Source

_MAX_FAILURES = 3
"""After this many consecutive failed runs the backend is considered down."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs are selected."""

    named: tuple[str, ...] = ()
    every: bool = False
    since: str = ""
    unsent: bool = False


@dataclass(slots=True)
class Outcome:
    """The result of one run."""

    run_id: str
    spans: int = 0
    executions: int = 0
    is_complete: bool = False
    is_acknowledged: bool = False
    problem: str = ""
    is_too_large: bool = False
    """Some spans were too large; the backend accepted all others."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    path: Path | None = None
    is_abandoned: bool = False
    is_asked_for: bool = True
    """Named in the call: then it is sent whether or not it is sampled."""


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
    forgotten: Annotated[
        list[str] | None,
        typer.Option(
            "--forget",
            help="Send nothing; remove this run from the list of --unsent, for example when its log is gone. Can be "
            "repeated.",
            metavar="RUN_ID",
            show_default=False,
        ),
    ] = None,
    endpoint: Endpoint = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent or forgotten; do nothing.")
    ] = False,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Send whole runs from their logs; a backend drops what it already has.

    A run that cannot be read, mapped or sent is reported and skipped. Exit status: 0 all acknowledged, 1 something was
    not, 2 the call or the config is wrong.
    """
    selection = Selection(tuple(runs or ()), every=every, since=since, unsent=unsent)
    if forgotten:
        if selection != Selection():
            raise ConfigError("--forget", "sends nothing; do not select other runs in the same call")
        forget_runs(forgotten, outboxes(url, settings_for(url, config)), dry_run=dry_run, as_json=as_json)
        return
    loaded = source(url, config, endpoint=endpoint)
    folders = outboxes(url, loaded.settings)
    raise typer.Exit(export_runs(loaded, selection, folders, close=abandoned, dry_run=dry_run, as_json=as_json))


def export_runs(
    source: Source, selection: Selection, folders: Sequence[Path], *, close: bool, dry_run: bool, as_json: bool
) -> int:
    """Send the selected runs.

    Args:
        source: the runs, and the settings of the export.
        selection: which runs.
        folders: the outboxes of the source; the first records what is not acknowledged now.
        close: close executions that have not ended.
        dry_run: only say what would be sent.
        as_json: print the outcomes as JSON.

    Returns:
        The exit status: 1 if something was not acknowledged.
    """
    outboxes = [Outbox(folder) for folder in folders]
    candidates = list(_candidates(source, selection, outboxes))
    outcomes: list[Outcome] = []
    require_sending(source.settings)
    refused = 0
    sink = None if dry_run else sink_from(source.settings)
    try:
        with output.progress() as progress:
            for candidate in progress.track(candidates, description="sending"):
                outcome = Outcome(candidate.name)
                outcomes.append(outcome)
                error = _guarded_export(outcome, source, candidate, sink, outboxes, close=close)
                refused = refused + 1 if isinstance(error, DeliveryError) and not outcome.is_too_large else 0
                if refused == _MAX_FAILURES:
                    break
    finally:
        if sink is not None:
            sink.close()
    not_tried = len(candidates) - len(outcomes)
    if as_json:
        output.document({"runs": [asdict(outcome) for outcome in outcomes], "not_tried": not_tried})
    else:
        _report(outcomes, not_tried, source.settings, dry_run=dry_run)
    return 1 if not_tried or any(outcome.problem for outcome in outcomes) else 0


def _candidates(source: Source, selection: Selection, outboxes: Sequence[Outbox]) -> Iterator[_Candidate]:
    if not (selection.named or selection.every or selection.since or selection.unsent):
        raise ConfigError("export", "say which runs: RUN_ID …, FILE.json …, --all, --since 24h or --unsent")
    unsent = {marker.run_id: marker.is_abandoned for outbox in outboxes for marker in outbox}
    names: dict[str, Path | None] = {}
    for name in selection.named:
        names[name] = log_file(name)
    if selection.unsent:
        names |= dict.fromkeys(unsent)
    if selection.every or selection.since:
        oldest = datetime.now(timezone.utc) - age(selection.since, "--since") if selection.since else None
        since_ns = 0 if oldest is None else int(oldest.timestamp() * 1e9)
        names |= {run.run_id: None for run in reversed(list(source.changes(since_ns)))}
    for name, file in names.items():
        yield _Candidate(name, file, unsent.get(name, False), is_asked_for=name in selection.named)


def _guarded_export(
    outcome: Outcome,
    source: Source,
    candidate: _Candidate,
    sink: SpanSink | None,
    outboxes: Sequence[Outbox],
    *,
    close: bool,
) -> Exception | None:
    """Send a run and record its outcome; an error is returned, because the other runs must still be sent."""
    try:
        _export(outcome, source, candidate, sink, outboxes, close=close)
    except Exception as error:  # noqa: BLE001 one bad run must not stop the others
        outcome.problem = problem_of(error)
        outcome.is_too_large = isinstance(error, TooLargeError)
        forget = f"runlog-otel export --forget {shlex.quote(candidate.name)}"
        if outcome.is_too_large:
            outcome.problem += f"; raise its limit, or: {forget}"
        if isinstance(error, RunNotFoundError) and any(candidate.name in outbox for outbox in outboxes):
            outcome.problem += f"; if it is gone for good: {forget}"
        if isinstance(error, DeliveryError):
            outcome.problem += _remember(
                outcome.run_id, error, outboxes[0], is_abandoned=candidate.is_abandoned or close
            )
        return error
    return None


def _remember(run_id: str, error: DeliveryError, outbox: Outbox, *, is_abandoned: bool) -> str:
    """Note a run for `--unsent`; if that fails, return what to add to the message."""
    try:
        outbox.add(run_id, error.reason, is_abandoned=is_abandoned)
    except OSError as full:
        return f"; that could not be noted in {outbox.folder}: {full.strerror}"
    return ""


def _export(
    outcome: Outcome,
    source: Source,
    candidate: _Candidate,
    sink: SpanSink | None,
    outboxes: Sequence[Outbox],
    *,
    close: bool,
) -> None:
    run = run_from_file(candidate.path, source.settings) if candidate.path else source.run(candidate.name)
    outcome.run_id = run.run_id
    traces = traces_from_run(run, source.settings, is_abandoned=close or candidate.is_abandoned)
    outcome.is_complete = bool(traces) and all(trace.is_complete for trace in traces)
    if not candidate.is_asked_for:
        traces = [trace for trace in traces if sends(trace, source.settings)]
    outcome.executions = len(traces)
    outcome.spans = sum(len(trace.spans) for trace in traces)
    if sink is None:
        return
    raise_if_refused([refused for trace in traces for refused in send_trace(trace, sink, source.settings)])
    outcome.is_acknowledged = True
    if outcome.is_complete:
        for outbox in outboxes:
            outbox.discard(run.run_id)


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


def _report(outcomes: list[Outcome], not_tried: int, settings: Settings, *, dry_run: bool) -> None:
    for outcome in outcomes:
        if outcome.problem:
            output.problem(f"{outcome.run_id}: {outcome.problem}")
        elif dry_run:
            output.line(f"{outcome.run_id}  {outcome.executions} executions  {outcome.spans} spans{_note(outcome)}")
        elif not outcome.is_complete:
            output.note(f"{outcome.run_id}{_note(outcome)}")
    if not_tried:
        output.problem(f"stopped after {_MAX_FAILURES} consecutive failures; {not_tried} more runs were not tried")
    sent = [outcome for outcome in outcomes if outcome.spans and (dry_run or outcome.is_acknowledged)]
    what = f"{len(sent)} runs, {sum(outcome.spans for outcome in sent)} spans"
    where = settings.destination
    output.line(f"{what} would go to {where}" if dry_run else f"{what} acknowledged by {where}")


def _note(outcome: Outcome) -> str:
    if outcome.is_complete:
        return ""
    return "  has not ended: only its final parts are sent; --abandoned closes it"
