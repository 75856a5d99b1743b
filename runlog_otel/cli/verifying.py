"""Compares many runs with backends, in order, and sends what is missing."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from runlog_otel.cli.exporting import Candidate, ExportOptions, exported
from runlog_otel.cli.guard import problem_of
from runlog_otel.cli.loading import log_file, run_named
from runlog_otel.core.model import Run
from runlog_otel.errors import BackendError, RunNotFoundError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.replay import MAX_FAILURES
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source
from runlog_otel.verification.backends import TraceBackend
from runlog_otel.verification.verifier import RunCheck, Verifier

if TYPE_CHECKING:
    from runlog_otel.core.counter_diff import CounterDifference
    from runlog_otel.verification.counters import Prometheus

_READ_AT_ONCE = 40
"""How many runs are read, compared and sent again together."""
_ASK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Selected:
    """A run that is to be compared; `key` is its place in the list of all runs."""

    name: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a run; `before` is what was found before something was sent."""

    selected: Selected
    check: RunCheck
    before: RunCheck | None = None
    sending_problem: str = ""
    """Why it was not acknowledged."""

    @property
    def healed(self) -> int:
        """How many spans were missing, and are there now."""
        return len(self.before.sendable - self.check.sendable) if self.before else 0


class CounterCheck:
    """The counters of runs, in the logs and in Prometheus.

    Args:
        prometheus: where they are.
        settings: how runs are counted.
        is_whole: whether all runs of the store are compared; otherwise others add to the counters, too.
        wait_seconds: how long `serve` and Prometheus may need for a run that ended just now.
    """

    def __init__(self, prometheus: "Prometheus", settings: Settings, *, is_whole: bool, wait_seconds: float) -> None:
        from runlog_otel.verification.counters import RunTotals

        self._prometheus = prometheus
        self._wait_seconds = wait_seconds
        self.totals = RunTotals(settings)
        # Before any run is read: what is counted later may be of runs that end later.
        self._before = prometheus.counters() if is_whole else None

    def differences(self) -> "list[CounterDifference]":
        """The counters that do not read what the logs that were added up say.

        Raises:
            BackendError: the server does not answer as it should.
        """
        from runlog_otel.core.counter_diff import too_large, too_small

        at_least, until = self.totals.at_least(), time.monotonic() + self._wait_seconds
        while lacking := list(too_small(at_least, self._prometheus.counters())):
            if time.monotonic() >= until:
                break
            time.sleep(_ASK_AGAIN_SECONDS)
        if self._before is None:
            return lacking
        return [*lacking, *too_large(at_least, self.totals.at_most(), self._before)]


class Verification:
    """Compares runs of a source with backends.

    Args:
        source: the runs, and the settings of the export.
        backends: where their traces should be.
        folders: the outboxes of the source.
        counters: what their counters are compared with.
        is_healing: whether to send what is missing.
        wait_seconds: how long after its end a run may be on its way.
    """

    def __init__(
        self,
        source: Source,
        backends: Sequence[TraceBackend],
        folders: Sequence[Path],
        counters: CounterCheck | None = None,
        *,
        is_healing: bool,
        wait_seconds: float,
    ) -> None:
        self.counters = counters
        self.where = [backend.client.where for backend in backends]
        self._source = source
        self._folders = tuple(folders)
        self._is_healing = is_healing
        self._is_down = False
        """Whether the endpoint took none of several runs: nothing more is sent."""
        self._wait_seconds = wait_seconds
        self._unsent = {marker.run_id: marker.is_abandoned for folder in folders for marker in Outbox(folder)}
        totals = counters.totals if counters else None
        self._verifier = Verifier(source.settings, backends, self._unsent, totals, wait_seconds=wait_seconds)

    def results(self, selected: Iterable[Selected]) -> Iterator[Result]:
        """Compare runs; memory does not grow with their number.

        Raises:
            BackendError: a backend does not answer as it should.
            RunlogOtelError: the source cannot be listed or reached.
        """
        remaining = iter(selected)
        while chunk := list(islice(remaining, _READ_AT_ONCE)):
            results = self._compared(chunk)
            yield from self._healed(list(results)) if self._is_healing else results

    def _compared(self, chunk: Sequence[Selected], *, deadline: float | None = None) -> Iterator[Result]:
        for selected, run in zip(chunk, self._runs(chunk), strict=True):
            if isinstance(run, RunNotFoundError) and selected.key:  # deleted since it was listed
                continue
            yield Result(selected, self._check(selected, run, deadline=deadline))

    def _runs(self, chunk: Sequence[Selected]) -> Iterator[Run | Exception]:
        if chunk[0].key:
            yield from self._source.read_runs([selected.name for selected in chunk])
            return
        for selected in chunk:
            try:
                yield run_named(self._source, selected.name)
            except Exception as error:  # noqa: BLE001, PERF203 one bad run must not stop the others
                yield error

    def _check(self, selected: Selected, run: Run | Exception, *, deadline: float | None) -> RunCheck:
        try:
            if isinstance(run, Exception):
                raise run
            return self._verifier.checked(run, deadline=deadline)
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 one odd run must not stop the others
            return RunCheck(selected.name, problem=problem_of(error))

    def _healed(self, results: Sequence[Result]) -> Iterator[Result]:
        """Send what is missing of some runs, and compare those again that were acknowledged."""
        lacking = [result for result in results if result.check.sendable]
        problems = self._sent(lacking)
        acknowledged = [result.selected for result in lacking if not problems[result.selected]]
        # One deadline for all: a backend that drops what it acknowledges is waited for once.
        deadline = time.monotonic() + self._wait_seconds
        again = self._compared(acknowledged, deadline=deadline) if acknowledged else iter(())
        checks = {result.selected: result.check for result in again}
        for result in results:
            selected = result.selected
            if selected in checks:
                yield Result(selected, checks[selected], result.check)
            else:
                yield replace(result, sending_problem=problems.get(selected, ""))

    def _sent(self, results: Sequence[Result]) -> dict[Selected, str]:
        """Send what is missing of some runs; why each was not acknowledged, or nothing."""
        settings = self._source.settings
        problems = {
            result.selected: f"not sent: {settings.destination} acknowledged none of the runs before"
            for result in results
        }
        waiting = [result for result in results if result.check.run_id in self._unsent]
        others = [result for result in results if result.check.run_id not in self._unsent]
        # Of a run in the outbox, its logs wait as well, where they are sent at all.
        for sendable, has_logs in ((waiting, settings.logs != "none"), (others, False)):
            if not sendable or self._is_down:
                continue
            options = ExportOptions(self._folders, has_logs=has_logs)
            outcomes = exported(map(self._candidate, sendable), self._source, options)
            for result, outcome in zip(sendable, outcomes, strict=True):
                if outcome is None:  # not tried
                    continue
                problems[result.selected] = outcome.problem
                if not any(outcome.run_id in Outbox(folder) for folder in self._folders):
                    self._unsent.pop(outcome.run_id, None)
            failed = sum(bool(problems[result.selected]) for result in sendable)
            self._is_down = failed == len(sendable) >= MAX_FAILURES
        return problems

    def _candidate(self, result: Result) -> Candidate:
        """What to send of a run: of one in the outbox all, because anything of it may be missing."""
        check, name = result.check, result.selected.name
        is_waiting = check.run_id in self._unsent
        return Candidate(
            name,
            log_file(name) if not result.selected.key else None,
            is_abandoned=self._unsent.get(check.run_id, False) or check.is_closed,
            is_asked_for=not is_waiting,
            span_ids=None if is_waiting else check.sendable,
        )
