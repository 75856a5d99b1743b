"""Exports runs in one process: reads and maps them, has them sent, and says what became of each."""

import shlex
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from runlog_otel.cli.guard import problem_of
from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Run
from runlog_otel.core.trace import Trace
from runlog_otel.errors import DeliveryError, RunNotFoundError, TooLargeError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.replay import Replay, Shipment
from runlog_otel.mapping import sends, traces_from_run
from runlog_otel.sources.files import run_from_file
from runlog_otel.sources.port import Source

if TYPE_CHECKING:
    from runlog_otel.sources.attempt_logs import LogReplay

_READ_AT_ONCE = 40
"""How many runs a source is asked for at once."""
_MAX_PENDING = 1_000
"""How many runs may wait for an answer, however few spans they have."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that is to be exported."""

    name: str
    path: Path | None = None
    is_abandoned: bool = False
    is_asked_for: bool = True
    """Named in the call: then it is sent whether or not it is sampled."""
    span_ids: frozenset[bytes] | None = None
    """The only spans to send; None for all."""


@dataclass(slots=True)
class Outcome:
    """The result of one run."""

    run_id: str
    spans: int = 0
    executions: int = 0
    log_records: int = 0
    is_complete: bool = False
    is_acknowledged: bool = False
    problem: str = ""
    is_too_large: bool = False
    """Some spans were too large; the backend accepted all others."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How runs are exported.

    `folders` are the outboxes of the source: the first records what is not acknowledged. `close` closes executions that
    have not ended. `has_logs` sends the logs of attempts, too.
    """

    folders: tuple[Path, ...]
    close: bool = False
    dry_run: bool = False
    has_logs: bool = False


@dataclass(frozen=True, slots=True)
class _Pending:
    candidate: Candidate
    outcome: Outcome
    shipment: Shipment


def exported(
    candidates: Iterable[Candidate], source: Source, options: ExportOptions
) -> Generator[Outcome | None, None, None]:
    """Export runs; memory does not grow with their number.

    Args:
        candidates: the runs; read as they are needed.
        source: where they are, and the settings of the export.
        options: how.

    Yields:
        The outcome of each candidate, in their order; None for one that was not tried, because the backend is down.

    Raises:
        ConfigError: the settings ask for no exporter that can be made.
        RunlogOtelError: what `candidates` raises, once those before are sent.
    """
    exporter = _Exporter(source, options)
    try:
        yield from exporter.outcomes(candidates)
    except Exception:
        exporter.close()
        raise
    except BaseException:
        exporter.interrupt()
        raise
    exporter.close()


def lost(candidate: Candidate, reason: str, options: ExportOptions) -> Outcome:
    """The outcome of a run of which nobody knows whether it was sent: it counts as not acknowledged."""
    outcome = Outcome(candidate.name, problem=reason)
    if not options.dry_run:
        is_abandoned = candidate.is_abandoned or options.close
        outcome.problem += _remembered(candidate.name, reason, Outbox(options.folders[0]), is_abandoned=is_abandoned)
    return outcome


class _Exporter:
    """Runs on their way, in order: read, mapped, sent, answered."""

    def __init__(self, source: Source, options: ExportOptions) -> None:
        self._source = source
        self._options = options
        self._outboxes = [Outbox(folder) for folder in options.folders]
        # Of an empty folder nothing is discarded. A marker that comes later stays, and its run is sent once more.
        self._marked = [outbox for outbox in self._outboxes if not outbox.is_empty]
        self._memo = SpanMemo()
        self._replay = None if options.dry_run else Replay(source.settings)
        self._logs: LogReplay | None = None
        self._pending: deque[_Pending] = deque()

    def outcomes(self, candidates: Iterable[Candidate]) -> Iterator[Outcome | None]:
        """See `exported`."""
        failure: Exception | None = None
        remaining = iter(candidates)
        while failure is None:
            chunk: list[Candidate] = []
            try:
                chunk.extend(islice(remaining, _READ_AT_ONCE))
            except Exception as error:  # noqa: BLE001 what was listed before is exported
                failure = error
            if not chunk:
                break
            runs = self._read(chunk)
            for candidate in chunk:
                self._begin(candidate, runs)
                yield from self._settled()
        if self._replay is not None:
            self._replay.wait()
        yield from self._settled()
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Close the connections."""
        if self._replay is not None:
            self._replay.close()
        if self._logs is not None:
            self._logs.close()

    def interrupt(self) -> None:
        """Send nothing more, wait for nothing, and remember the runs that may be sent in part."""
        if self._replay is None:
            return
        reason = DeliveryError(self._source.settings.destination, "interrupted")
        self._replay.stop(reason)
        for pending in self._pending:
            if pending.shipment.is_answered:
                self._settle(pending)
            elif pending.shipment.is_begun:
                self._fail(pending, reason)

    def _read(self, candidates: Sequence[Candidate]) -> Iterator[Run | Exception]:
        """The runs of candidates, in order; errors in the place of those that cannot be read."""
        stored = self._source.read_runs([candidate.name for candidate in candidates if candidate.path is None])
        unreachable: Exception | None = None
        for candidate in candidates:
            try:
                if candidate.path is not None:
                    yield run_from_file(candidate.path, self._source.settings)
                else:
                    yield unreachable or next(stored)
            except Exception as error:  # noqa: BLE001, PERF203 one bad run must not stop the others
                unreachable = None if candidate.path else error
                yield error

    def _begin(self, candidate: Candidate, runs: Iterator[Run | Exception]) -> None:
        """Read and map a run, and hand it over to be sent; nothing if the backend is down."""
        pending = _Pending(candidate, Outcome(candidate.name), Shipment())
        if self._replay is not None and len(self._pending) >= _MAX_PENDING:
            self._replay.wait()
        self._pending.append(pending)
        try:
            if self._replay is not None and self._replay.is_stopped:
                self._replay.add(pending.shipment, ())
                return
            self._ship(pending, next(runs))
        except Exception as error:  # noqa: BLE001 one bad run must not stop the others
            self._fail(pending, error)
            pending.shipment.waiting = 0

    def _ship(self, pending: _Pending, run: Run | Exception) -> None:
        if isinstance(run, Exception):
            raise run
        candidate, outcome, settings = pending.candidate, pending.outcome, self._source.settings
        outcome.run_id = run.run_id
        is_abandoned = self._options.close or candidate.is_abandoned
        traces = traces_from_run(run, settings, is_abandoned=is_abandoned, memo=self._memo)
        outcome.is_complete = bool(traces) and all(trace.is_complete for trace in traces)
        if not candidate.is_asked_for:
            traces = [trace for trace in traces if sends(trace, settings)]
        if (ids := candidate.span_ids) is not None:
            traces = [
                replace(trace, spans=tuple(span for span in trace.spans if span.span_id in ids)) for trace in traces
            ]
        outcome.executions = len(traces)
        outcome.spans = sum(len(trace.spans) for trace in traces)
        if self._replay is not None:
            self._replay.add(pending.shipment, traces)
            if self._options.has_logs:
                self._send_logs(pending, run, traces)
        else:
            pending.shipment.waiting = 0

    def _send_logs(self, pending: _Pending, run: Run, traces: Sequence[Trace]) -> None:
        from runlog_otel.sources.attempt_logs import LogReplay

        try:
            self._logs = self._logs or LogReplay(self._source)
            pending.outcome.log_records = self._logs.send(run, traces)
        except Exception as error:  # noqa: BLE001 the spans of the run are on their way
            self._fail(pending, error)

    def _settled(self) -> Iterator[Outcome | None]:
        """The outcomes that are known, up to the first run that is not answered."""
        while self._pending and self._pending[0].shipment.is_answered:
            outcome = self._settle(self._pending[0])
            self._pending.popleft()
            yield outcome

    def _settle(self, pending: _Pending) -> Outcome | None:
        """Record what became of a run; the outcome is None if it was not tried."""
        outcome, shipment = pending.outcome, pending.shipment
        if not shipment.is_tried:
            return None
        if outcome.problem or self._replay is None:
            return outcome
        try:
            shipment.raise_if_failed()
        except Exception as error:  # noqa: BLE001 the others are reported too
            self._fail(pending, error)
            return outcome
        outcome.is_acknowledged = True
        if outcome.is_complete:
            for outbox in self._marked:
                outbox.discard(outcome.run_id)
        return outcome

    def _fail(self, pending: _Pending, error: Exception) -> None:
        """Note why a run was not exported, and remember it if the backend did not acknowledge it."""
        outcome, candidate = pending.outcome, pending.candidate
        outcome.problem = problem_of(error)
        outcome.is_too_large = isinstance(error, TooLargeError)
        forget = f"runlog-otel export --forget {shlex.quote(candidate.name)}"
        if outcome.is_too_large:
            outcome.problem += f"; raise its limit, or: {forget}"
        if isinstance(error, RunNotFoundError) and any(candidate.name in outbox for outbox in self._outboxes):
            outcome.problem += f"; if it is gone for good: {forget}"
        if isinstance(error, DeliveryError):
            is_abandoned = candidate.is_abandoned or self._options.close
            outcome.problem += _remembered(outcome.run_id, error.reason, self._outboxes[0], is_abandoned=is_abandoned)


def _remembered(run_id: str, reason: str, outbox: Outbox, *, is_abandoned: bool) -> str:
    """Note a run for `--unsent`; if that fails, return what to add to the message."""
    try:
        outbox.add(run_id, reason, is_abandoned=is_abandoned)
    except OSError as full:
        return f"; that could not be noted in {outbox.folder}: {full.strerror}"
    return ""
