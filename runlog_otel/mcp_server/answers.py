"""The answers of the tools, from one source.

They are made of spans and of what `insight` says, which hold nothing that may not leave.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Any

from runlog_otel.core.diagnosis import document_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.headline import counted
from runlog_otel.core.links import trace_url
from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Run
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.redaction import MASK, Redaction, redacted
from runlog_otel.core.trace import Trace
from runlog_otel.errors import ConfigError, RunLogFormatError, RunNotFoundError
from runlog_otel.insight import diagnose
from runlog_otel.mapping import traces_from_run
from runlog_otel.mcp_server import pipeline_view, run_view
from runlog_otel.mcp_server.arguments import (
    MAX_COMPARED,
    Compare,
    GetRun,
    ListRuns,
    ListSteps,
    PipelineHistory,
    Why,
)
from runlog_otel.mcp_server.documents import Answer, Names, answer_of
from runlog_otel.sources.listing import Listing, history_of
from runlog_otel.sources.moments import moment_ns
from runlog_otel.sources.port import Source
from runlog_otel.sources.recent_runs import newest_run_id
from runlog_otel.stores.run_list import RunFilter, RunSummary

if TYPE_CHECKING:
    from runlog_otel.stores.sql.history import RunHistory

_Redact = Callable[[str], str]

_LATEST = "latest"
_READ_FACTOR = 4
"""Where only reading a run tells its pipeline: how many are read for each one that is asked for."""
_AT_ONCE = 40
_MAX_VISITED = 1_000
"""How many runs are read at most to fill a page."""
_MAX_STEPS = 100_000
"""No more runs are read once those that were read have this many steps: they take about 10 seconds."""
_OTHER_STEPS = "list_steps has each step by itself, with its attempts, tracebacks and what they recorded"


def list_runs(source: Source, arguments: ListRuns) -> Answer:
    """Runs, newest first; as many as fit into an answer."""
    run_filter = RunFilter(
        status=arguments.status.upper(),
        tag=arguments.tag,
        pipeline=arguments.pipeline,
        since_ns=moment_ns(arguments.since, "since"),
        until_ns=moment_ns(arguments.until, "until"),
        failure=arguments.failure,
    )
    listing = history_of(source, max_visits=_MAX_VISITED)
    limit = arguments.limit
    while True:
        answer = answer_of(_page(source, listing, run_filter, arguments.after or None, limit), offset=0)
        if answer["next_offset"] is None or limit == 1:
            return answer
        limit = max(1, answer["next_offset"])  # the page ends where the answer does: its `after` continues it


def get_run(source: Source, arguments: GetRun) -> Answer:
    """An overview of an execution."""
    record, trace = _execution(source, arguments.run_id, arguments.execution)
    url = trace_url(source.settings.ui, trace.execution.trace_id)
    overview = {**run_view.overview(record, trace), **({"url": url} if url else {})}
    return answer_of(overview, offset=arguments.offset, rest=_OTHER_STEPS)


def list_steps(source: Source, arguments: ListSteps) -> Answer:
    """The steps of an execution with their attempts."""
    record, trace = _execution(source, arguments.run_id, arguments.execution)
    rows = run_view.step_rows(trace, is_complete=record.is_complete, step=arguments.step, result=arguments.result)
    return answer_of({"run": run_view.summary(record), "steps": rows}, offset=arguments.offset)


def why(source: Source, arguments: Why) -> Answer:
    """Why a run failed or was slow."""
    run = _run(source, arguments.run_id)
    diagnosis = diagnose(source, run, history=arguments.history, now_ns=time.time_ns())
    document = document_of(replace(diagnosis, commands=()))
    del document["commands"]  # they are for a shell
    if document["seen"]:
        document["seen"]["pipelines"] = Names(document["seen"]["pipelines"])
    document["timing"]["baseline"] = pipeline_view.durations(diagnosis.timing.baseline)
    for line, step in zip(document["timing"]["slow_steps"], diagnosis.timing.slow_steps, strict=True):
        line["baseline"] = pipeline_view.durations(step.baseline)
    return answer_of(document, rest=f"compare lists all that changed between two runs; {_OTHER_STEPS}")


def compare(source: Source, arguments: Compare) -> Answer:
    """Runs side by side."""
    run_ids: Sequence[str] = arguments.run_ids
    if bool(run_ids) == bool(arguments.tag):
        raise ConfigError("run_ids", "give the ids of 2 to 10 runs, or a tag in their place")
    if arguments.tag:
        newest = history_of(source, max_visits=_MAX_VISITED).page(RunFilter(tag=arguments.tag), limit=MAX_COMPARED).runs
        run_ids = [run.run_id for run in reversed(newest)]
    if len(run_ids) < 2:  # noqa: PLR2004
        raise ConfigError(
            "tag" if arguments.tag else "run_ids", f"that is {counted(len(run_ids), 'run')}; 2 are needed"
        )
    executions = [_execution(source, run_id) for run_id in run_ids]
    return answer_of(pipeline_view.side_by_side(executions), offset=arguments.offset)


def pipeline_history(source: Source, arguments: PipelineHistory) -> Answer:
    """A pipeline over its newest runs."""
    notes: list[str] = []
    since_ns = moment_ns(arguments.since, "since")
    records = list(_records(source, arguments.pipeline, arguments.limit, since_ns, notes))
    if not records:
        raise ConfigError("pipeline", f"no run of {arguments.pipeline!r} is found; list_runs shows the names")
    return answer_of({**pipeline_view.history(records), "notes": notes}, offset=arguments.offset)


def _page(
    source: Source, listing: "RunHistory | Listing", run_filter: RunFilter, after: str | None, limit: int
) -> dict[str, Any]:
    """A page of runs that may be shown; it goes on until it is full, so that its key tells nothing of the others."""
    own = Redaction(source.settings.policy.patterns)
    rows: list[dict[str, Any]] = []
    unread: set[str] = set()
    visited = 0
    while True:
        missing = limit - len(rows)
        page = listing.page(run_filter, after=after, limit=missing)
        visited += len(page.runs)
        unread.update(page.unread)
        rows += _rows(source, listing, page.runs, run_filter.failure)
        after = page.after
        if after is None or len(page.runs) < missing or len(rows) == limit or visited >= _MAX_VISITED:
            break
    not_readable = sorted(map(own, unread))[:10]
    return {"runs": rows, "after": after and own(after), "not_readable": not_readable}


def _rows(
    source: Source, listing: "RunHistory | Listing", runs: Sequence[RunSummary], failure: str
) -> list[dict[str, Any]]:
    redactions: dict[str, _Redact]
    if failure or isinstance(listing, Listing):
        redactions = dict(_read(source, runs, failure))
    else:
        patterns = source.settings.policy.patterns
        redactions = {run.run_id: _stored(listing, run.run_id, patterns) for run in runs}
    return [_run_line(run, redactions[run.run_id]) for run in runs if run.run_id in redactions]


def _stored(listing: "RunHistory | Listing", run_id: str, patterns: tuple[str, ...]) -> _Redact:
    """What masks the secrets of a run in a SQL store; all of its texts, if they are unknown."""
    try:
        return Redaction(patterns, run_id, listing.secret_fingerprints(run_id))
    except RunLogFormatError:
        return lambda text: text and MASK


def _read(source: Source, runs: Sequence[RunSummary], failure: str) -> Iterator[tuple[str, _Redact]]:
    """What masks the secrets of runs, which are read for it.

    Those are left out whose messages do not have the text `failure` after redaction: else a search, piece by piece,
    would tell a secret.
    """
    for run in source.read_runs([run.run_id for run in runs]):
        if isinstance(run, Run):
            attempts = [attempt for step in run.all_steps() for attempt in step.attempts]
            marks = {mark for attempt in attempts for mark in attempt.marks}
            redaction = Redaction(source.settings.policy.patterns, run.run_id, (*run.header.marks, *marks))
            said = (redaction(attempt.message).lower() for attempt in attempts if attempt.message)
            if not failure or any(failure.lower() in text for text in said):
                yield run.run_id, redaction


def _run_line(run: RunSummary, redaction: _Redact) -> dict[str, Any]:
    is_timed = run.started_ns is not None and run.ended_ns is not None
    duration_ns = max(0, (run.ended_ns or 0) - (run.started_ns or 0))
    tag = redaction(run.tag)
    return {
        "run_id": redacted(run.run_id),
        "pipeline": redaction(run.pipeline),
        "status": run.status,
        **({"tag": tag} if tag else {}),
        "created_ns": run.created_ns,
        **({"duration_ns": duration_ns} if is_timed else {}),
        "steps": run.steps,
        "failed_steps": run.failed_steps,
        **({"rerun_of": redacted(run.original_run_id)} if run.original_run_id else {}),
    }


def _run(source: Source, run_id: str) -> Run:
    if run_id != _LATEST:
        return source.run(run_id)
    newest = newest_run_id(source)
    if newest is None:
        raise RunNotFoundError(run_id, source.where)
    return source.run(newest)


def _execution(source: Source, run_id: str, number: int = 0) -> tuple[ExecutionRecord, Trace]:
    """An execution of a run; 0 is the last one."""
    run = _run(source, run_id)
    traces = traces_from_run(run, source.settings, is_abandoned=True)
    records = records_of(run, traces)
    if not records:
        raise RunLogFormatError(f"the log of {run.run_id!r}", "nothing is recorded of the run yet")
    for record, trace in zip(records, traces, strict=True):
        if record.execution == (number or records[-1].execution):
            return record, trace
    raise ConfigError("execution", f"run {run_id!r} has {counted(len(records), 'execution')}, not {number}")


def _records(
    source: Source, pipeline: str, limit: int, since_ns: int | None, notes: list[str]
) -> Iterator[ExecutionRecord]:
    """The executions of the newest runs of a pipeline; what is not read is noted."""
    memo, runs, steps, unread = SpanMemo(), 0, 0, 0
    for run in _newest_runs(source, pipeline, limit, since_ns):
        if isinstance(run, Exception):
            unread += 1
        elif run.pipeline == pipeline:
            runs += 1
            steps += sum(1 for _ in run.all_steps())
            yield from records_of(run, traces_from_run(run, source.settings, is_abandoned=True, memo=memo))
        if runs == limit:
            break
        if steps > _MAX_STEPS:
            notes.append(f"only the newest {counted(runs, 'run')} are read: they have {steps:,} steps")
            break
    if unread:
        notes.append(f"{counted(unread, 'run')} cannot be read")


def _newest_runs(source: Source, pipeline: str, limit: int, since_ns: int | None) -> Iterator[Run | Exception]:
    if source.sql_store() is None:
        changes = nlargest(
            limit * _READ_FACTOR, source.changes(since_ns or 0), key=lambda run: (run.changed_ns, run.run_id)
        )
        run_ids = iter([stored.run_id for stored in changes])
    else:
        recorded = "" if source.settings.pipeline else pipeline  # the setting replaces the names in the log
        page = history_of(source, max_visits=_MAX_VISITED).page(
            RunFilter(pipeline=recorded, since_ns=since_ns), limit=limit
        )
        run_ids = iter([run.run_id for run in page.runs])
    while batch := list(islice(run_ids, _AT_ONCE)):
        yield from source.read_runs(batch)
