"""`runlog-otel export`: runs are mapped from their logs again and sent whole."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runlog_otel.cli.options import age
from runlog_otel.errors import ConfigError, DeliveryError, RunlogOtelError, TooLargeError
from runlog_otel.exporters.outbox import Outbox
from runlog_otel.exporters.sending import raise_if_refused, send_trace
from runlog_otel.exporters.sink import SpanSink, require_sending, sink_from
from runlog_otel.model import Run
from runlog_otel.settings import Settings
from runlog_otel.sources import Source
from runlog_otel.sources.files import run_from_file
from runlog_otel.spans import spans_from_run
from runlog_otel.trace import Trace

_MAX_FAILURES = 3
"""Failed runs in a row after which the backend is taken to be down."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs are meant."""

    named: tuple[str, ...] = ()
    every: bool = False
    since: str = ""
    unsent: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of one run."""

    run_id: str
    spans: int = 0
    executions: int = 0
    is_complete: bool = False
    is_acknowledged: bool = False
    problem: str = ""
    is_too_large: bool = False
    """Of some spans; the backend took all others."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    path: Path | None = None
    is_abandoned: bool = False
    is_asked_for: bool = True
    """By its name: then it is sent whether or not it is sampled."""


def export_runs(
    source: Source, selection: Selection, folders: Sequence[Path], *, close: bool, dry_run: bool, as_json: bool
) -> int:
    """Send the selected runs.

    Args:
        source: where they are, and where they go.
        selection: which runs.
        folders: the outboxes that remember runs of it; the first takes what is not acknowledged now.
        close: close executions that have not ended.
        dry_run: only say what would be sent.
        as_json: print the outcomes as JSON.

    Returns:
        The exit status: 1 when something was not acknowledged.
    """
    outboxes = [Outbox(folder) for folder in folders]
    candidates = list(_candidates(source, selection, outboxes))
    console = Console(stderr=True, highlight=False)
    outcomes: list[Outcome] = []
    require_sending(source.settings)
    sink = None if dry_run else sink_from(source.settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=as_json or dry_run or not console.is_terminal) as progress:
            for candidate in progress.track(candidates, description="sending"):
                outcomes.append(_export(source, candidate, sink, outboxes, close=close))
                last = outcomes[-_MAX_FAILURES:]
                if len(last) == _MAX_FAILURES and all(
                    outcome.spans and outcome.problem and not outcome.is_too_large for outcome in last
                ):
                    break
    finally:
        if sink is not None:
            sink.close()
    not_tried = len(candidates) - len(outcomes)
    if as_json:
        print(json.dumps({"runs": [_document(outcome) for outcome in outcomes], "not_tried": not_tried}, indent=2))
    else:
        _report(outcomes, not_tried, source.settings, dry_run=dry_run)
    return 1 if not_tried or any(outcome.problem for outcome in outcomes) else 0


def _candidates(source: Source, selection: Selection, outboxes: Sequence[Outbox]) -> Iterator[_Candidate]:
    if not (selection.named or selection.every or selection.since or selection.unsent):
        raise ConfigError("export", "say which runs: RUN_ID …, FILE.json …, --all, --since 24h or --unsent")
    unsent = {marker.run_id: marker.is_abandoned for outbox in outboxes for marker in outbox}
    names: dict[str, Path | None] = {}
    for name in selection.named:
        path = Path(name)
        names[name] = path if path.suffix == ".json" and path.is_file() else None
    if selection.unsent:
        names |= dict.fromkeys(unsent)
    if selection.every or selection.since:
        oldest = datetime.now(timezone.utc) - age(selection.since, "--since") if selection.since else None
        since_ns = 0 if oldest is None else int(oldest.timestamp() * 1e9)
        names |= {run.run_id: None for run in reversed(list(source.changes(since_ns)))}
    for name, file in names.items():
        yield _Candidate(name, file, unsent.get(name, False), is_asked_for=name in selection.named)


def _export(
    source: Source, candidate: _Candidate, sink: SpanSink | None, outboxes: Sequence[Outbox], *, close: bool
) -> Outcome:
    outcome = Outcome(candidate.name)
    try:
        run = run_from_file(candidate.path, source.settings) if candidate.path else source.run(candidate.name)
        outcome.run_id = run.run_id
        traces = _traces(run, source.settings, is_abandoned=close or candidate.is_abandoned)
        outcome.is_complete = bool(traces) and all(trace.is_complete for trace in traces)
        if not candidate.is_asked_for:
            traces = [trace for trace in traces if source.settings.sends(trace)]
        outcome.executions = len(traces)
        outcome.spans = sum(len(trace.spans) for trace in traces)
        if sink is None:
            return outcome
        raise_if_refused([refused for trace in traces for refused in send_trace(trace, sink, source.settings)])
        outcome.is_acknowledged = True
        if outcome.is_complete:
            for outbox in outboxes:
                outbox.discard(run.run_id)
    except RunlogOtelError as error:
        outcome.problem = str(error)
        outcome.is_too_large = isinstance(error, TooLargeError)
        if outcome.is_too_large:
            outcome.problem += f"; raise its limit, or `runlog-otel export --forget {outcome.run_id}`"
        if isinstance(error, DeliveryError):
            outboxes[0].add(outcome.run_id, error.reason, is_abandoned=candidate.is_abandoned or close)
    return outcome


def _traces(run: Run, settings: Settings, *, is_abandoned: bool) -> list[Trace]:
    return spans_from_run(run, settings.namespace, settings.ui, settings.disclosure, is_abandoned=is_abandoned)


def _report(outcomes: list[Outcome], not_tried: int, settings: Settings, *, dry_run: bool) -> None:
    for outcome in outcomes:
        if outcome.problem:
            sys.stderr.write(f"error: {outcome.run_id}: {outcome.problem}\n")
        elif dry_run:
            print(f"{outcome.run_id}  {outcome.executions} executions  {outcome.spans} spans{_note(outcome)}")
        elif not outcome.is_complete:
            sys.stderr.write(f"{outcome.run_id}{_note(outcome)}\n")
    if not_tried:
        sys.stderr.write(f"error: {_MAX_FAILURES} runs in a row were not taken; {not_tried} more were not tried\n")
    sent = [outcome for outcome in outcomes if outcome.spans and (dry_run or outcome.is_acknowledged)]
    what = f"{len(sent)} runs, {sum(outcome.spans for outcome in sent)} spans"
    print(f"{what} would go to {settings.destination}" if dry_run else f"{what} acknowledged by {settings.destination}")


def _note(outcome: Outcome) -> str:
    if outcome.is_complete:
        return ""
    return "  has not ended: only what is final in it; --abandoned closes it"


def _document(outcome: Outcome) -> dict[str, Any]:
    return {field: getattr(outcome, field) for field in Outcome.__slots__}
