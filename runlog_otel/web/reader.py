"""Reads the runs of one source as pages show them: without secrets, and without reading what cannot have changed."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.model import FINAL_STATUSES, Attempt, Header, Run, Status, Step
from runlog_otel.core.redaction import MASK, Redaction
from runlog_otel.core.trace import Result, execution_of
from runlog_otel.errors import RunlogOtelError, RunNotFoundError
from runlog_otel.loggers import package_logger
from runlog_otel.mapping import traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.sources.listing import Listing, history_of
from runlog_otel.sources.port import Source, one_line
from runlog_otel.stores.run_list import RunFilter, RunSummary
from runlog_otel.web.digests import RunDigest, digest_of
from runlog_otel.web.remembered import Remembered
from runlog_otel.web.run_page import revealing

if TYPE_CHECKING:
    from runlog_otel.stores.sql.history import RunHistory

MAX_SEARCHED = 255
"""How much of a name is searched for, and fits into a URL."""
logger = package_logger(__name__)

MAX_VISITS = 200
"""How many runs of a source that is no SQL store are read for a page."""
RUNNING = "running"
ABANDONED_NS = 24 * 3600 * 10**9
"""A run that was not written for so long is not waited for any more."""
MAX_STEPS = 20_000
"""How many steps are read for a page of several runs."""
_DIGESTS = 500
_BEFORE = 20
_TYPICAL = 20
_TYPICAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list."""

    summary: RunSummary
    """As it may be shown."""
    pipeline: str
    """The name by which its page is found; empty if that may not be shown."""
    result: str
    """`success`, `failure`, `running`, or how it was broken off; empty if nobody knows."""
    took_ns: int | None
    typical_ns: int | None
    """The median of the last runs of the pipeline that succeeded."""
    utc_offset_seconds: int | None = None
    failed_step: str = ""
    failure: str = ""
    """The type and the first line of its message."""


class RunReader:
    """The runs of a source.

    Args:
        source: the source.
        is_revealing: whether values of all parameters are shown, but not those named like a secret.
    """

    def __init__(self, source: Source, *, is_revealing: bool = False) -> None:
        self.source = source
        self.settings: Settings = source.settings
        self.is_revealing = is_revealing
        policy = source.settings.policy
        self.policy = revealing(policy) if is_revealing else policy
        self._digests: Remembered[tuple[str, int], RunDigest] = Remembered(_DIGESTS)
        self._typical: Remembered[str, int | None] = Remembered(1_000)

    @cached_property
    def history(self) -> "RunHistory | Listing":
        """The lists of runs; raises StoreError while the file of a SQLite store does not exist."""
        return history_of(self.source, max_visits=MAX_VISITS)

    def has(self, run_id: str) -> bool:
        """Whether there is a run of that id."""
        if isinstance(self.history, Listing):
            try:
                self.source.run(run_id)
            except RunNotFoundError:
                return False
            return True
        return not self.history.missing([run_id])

    def lines(self, runs: Sequence[RunSummary], now_ns: int) -> list[RunLine]:
        """The runs as lists show them."""
        outlines = self.history.outlines(runs)
        return [self._line(run, outlines.get(run.run_id), now_ns) for run in runs]

    def digests(self, runs: Sequence[RunSummary]) -> list[RunDigest]:
        """What pages of several runs need of some, in order. One that cannot be read is left out.

        The newest are read first, and only so many that they have `MAX_STEPS` steps together.
        """
        keys: list[tuple[str, int]] = []
        steps = 0
        for run in runs:
            steps += run.steps
            if keys and steps > MAX_STEPS:
                break
            keys.append((run.run_id, run.updated_ns))
        known = {key: digest for key in keys if (digest := self._digests.get(key)) is not None}
        changed = {run_id: changed_ns for run_id, changed_ns in keys if (run_id, changed_ns) not in known}
        for read in self.source.read_runs(list(changed)) if changed else ():
            if isinstance(read, Exception):
                logger.info("a run is left out: %s", one_line(read))
            elif (digest := self._digest_of(read)) is not None and read.run_id in changed:
                key = (read.run_id, changed[read.run_id])
                known[key] = self._digests[key] = digest
        return [known[key] for key in keys if key in known]

    def history_before(self, run: Run) -> list[ExecutionRecord]:
        """The executions of the last runs of its pipeline that began before a run; none if they cannot be read."""
        steps = (step for step in run.all_steps() if not step.is_terminal)
        starts = [attempt.start_ns for step in steps for attempt in step.attempts if attempt.start_ns]
        until_ns = min(starts, default=run.header.created_ns)
        try:
            page = self.history.page(RunFilter(pipeline=run.pipeline, until_ns=until_ns), limit=_BEFORE)
            digests = self.digests([each for each in page.runs if each.run_id != run.run_id])
        except RunlogOtelError as error:  # the run itself is there
            logger.info("no history: %s", error)
            return []
        return [record for digest in digests for record in (*digest.earlier, digest.record)]

    def digest(self, run_id: str) -> RunDigest | None:
        """The same for one run; None if its log has no time. Raises RunNotFoundError."""
        return self._digest_of(self.source.run(run_id))

    def typical_ns(self, pipeline: str) -> int | None:
        """The median of the last runs of a pipeline that succeeded, in nanoseconds; remembered for half a minute."""
        if (known := self._typical.fresh(pipeline, _TYPICAL_SECONDS)) is not None:
            return known[0]
        last = self.history.page(RunFilter(pipeline=pipeline, status=Status.SUCCESS.value), limit=_TYPICAL).runs
        durations = [took for run in last if (took := took_ns(run)) is not None]
        self._typical[pipeline] = typical = round(median(durations)) if durations else None
        return typical

    def _digest_of(self, run: Run) -> RunDigest | None:
        return digest_of(run, traces_from_run(run, self.settings, policy=self.policy, is_abandoned=True))

    def _line(self, run: RunSummary, outline: Run | None, now_ns: int) -> RunLine:
        result = _result(run, outline, now_ns)
        took = max(0, now_ns - (run.started_ns or run.created_ns)) if result == RUNNING else took_ns(run)
        typical = self.typical_ns(run.pipeline)
        if outline is None:  # its secrets are unknown
            shown = replace(run, tag=run.tag and MASK, pipeline=run.pipeline and MASK)
            return RunLine(shown, "", result, took, typical)
        redaction = self.redaction(outline)
        shown = replace(run, tag=redaction(run.tag), pipeline=redaction(run.pipeline))
        has_page = shown.pipeline == run.pipeline and len(run.pipeline) <= MAX_SEARCHED
        pipeline = run.pipeline if has_page else ""
        line = RunLine(shown, pipeline, result, took, typical, outline.header.utc_offset_seconds)
        for step, attempt in _failed(outline):
            name, text = self._failure(outline, step, attempt)
            return replace(line, failed_step=name, failure=text)
        return line

    def redaction(self, run: Run) -> Redaction:
        """What masks the secrets of a run, as far as the part of its log that is given has them."""
        marks = (mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks)
        return Redaction(self.policy.patterns, run.run_id, (*run.header.marks, *marks))

    def _failure(self, run: Run, step: Step, attempt: Attempt) -> tuple[str, str]:
        failure = execution_of(run, 1, policy=self.policy).failure(attempt)
        first = (failure.message or "").strip().partition("\n")[0]
        text = f"{failure.exception}: {first}" if failure.exception and first else failure.exception or first
        return self.redaction(run)(step.path), text


def took_ns(run: RunSummary) -> int | None:
    """How long a run took, from the first start to the last end of its attempts."""
    if run.started_ns is None or run.ended_ns is None:
        return None
    return max(0, run.ended_ns - run.started_ns)


def is_going_on(run: RunSummary, now_ns: int) -> bool:
    """Whether a run has not ended, and was written to lately."""
    return run.status not in FINAL_STATUSES and now_ns - run.updated_ns < ABANDONED_NS


def _result(run: RunSummary, outline: Run | None, now_ns: int) -> str:
    """How a run ended, as far as its row and its header say it: the hosts leave a run that was broken off as it was."""
    if run.status in FINAL_STATUSES:
        return Result.SUCCESS.value if run.status == Status.SUCCESS.value else Result.FAILURE.value
    header = outline.header if outline else Header()
    latest_ns = max([run.ended_ns or 0, *(start_ns for _, start_ns in header.retries)])
    if header.endings and header.endings[-1].at_ns >= latest_ns:
        return header.endings[-1].result
    return RUNNING if is_going_on(run, now_ns) else ""


def now_ns() -> int:
    """The time, in nanoseconds since the epoch."""
    return time.time_ns()


def _failed(run: Run) -> Iterator[tuple[Step, Attempt]]:
    for step in run.all_steps():
        for attempt in step.attempts:
            if attempt.status is Status.FAIL and not step.is_terminal:
                yield step, attempt
