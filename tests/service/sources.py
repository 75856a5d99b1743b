"""A source in memory, whose runs change, break and disappear as a test wants."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runlog_otel.core.model import Run, Status, StoredRun
from runlog_otel.errors import RunLogFormatError, RunNotFoundError, StoreError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source
from tests.core.logs import attempt, run, task, verdict

LONG_AGO_NS = time.time_ns() - 3600 * 10**9


def ended(run_id: str, *, ok: bool = True) -> Run:
    """A run that is over."""
    log = run(task("a", attempt(1, 3, ok=ok)), verdict("success" if ok else "fail", 4))
    return replace(log, run_id=run_id, status=Status.SUCCESS if ok else Status.FAIL)


def going(run_id: str) -> Run:
    """A run that is not."""
    return replace(run(task("a", attempt(1, 3)), task("b"), status=Status.PROCESSING), run_id=run_id)


@dataclass
class MemorySource(Source):
    """Runs by their ids; reading the one at `fails_at` raises `failure`, `torn` holds ids of runs that are damaged."""

    folder: Path
    runs: dict[str, tuple[StoredRun, Run]] = field(default_factory=dict)
    torn: set[str] = field(default_factory=set)
    fails_at: str = ""
    failure: Exception = field(default_factory=lambda: StoreError("memory", "it is gone"))
    read: list[str] = field(default_factory=list)
    where: str = "memory"
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is sent, until a test says where."""
        self.send_by(exporter="none")

    def send_by(self, **telemetry: str) -> None:
        """Use these settings from now on."""
        self.settings = Settings.load({"outbox": str(self.folder / "unsent"), **telemetry}, {})

    def put(self, log: Run, changed_ns: int | None = None) -> None:
        """Write a run."""
        at_ns = time.time_ns() if changed_ns is None else changed_ns
        self.runs[log.run_id] = (StoredRun(log.run_id, at_ns, log.status.is_final), log)

    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        """See `Source.changes`."""
        found = (stored for stored, _ in self.runs.values() if stored.changed_ns >= since_ns)
        return sorted(found, key=lambda stored: stored.changed_ns)

    def run(self, run_id: str) -> Run:
        """See `Source.run`."""
        if run_id == self.fails_at:
            raise self.failure
        if run_id not in self.runs:
            raise RunNotFoundError(run_id, self.where)
        if run_id in self.torn:
            raise RunLogFormatError(run_id, "it ends in the middle")
        self.read.append(run_id)
        return self.runs[run_id][1]

    def missing(self, run_ids: Sequence[str]) -> list[str]:
        """See `Source.missing`."""
        return [run_id for run_id in run_ids if run_id not in self.runs]
