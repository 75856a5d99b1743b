"""Lists the runs of any source as the history of a SQL store does it, by reading each of them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.model import Run, SecretFingerprint, Status, Step, StoredRun
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Result, SpanRole
from runlog_otel.errors import ConfigError, RunLogFormatError, RunlogOtelError, RunNotFoundError
from runlog_otel.loggers import package_logger
from runlog_otel.sources.port import Source, one_line
from runlog_otel.stores.run_list import Page, RunFilter, RunSummary

if TYPE_CHECKING:
    from runlog_otel.stores.sql.history import RunHistory

logger = package_logger(__name__)

_REMEMBERED = 2000
"""How many runs are not read again while they are not written."""


class _Listed(NamedTuple):
    """What is remembered of a run that was read; the outline has one step at most."""

    summary: RunSummary
    outline: Run


def history_of(source: Source, *, max_visits: int | None = None) -> "RunHistory | Listing":
    """What lists the runs of a source: a SQL store by queries, any other by reading them.

    Args:
        source: the source.
        max_visits: how many runs are read at most for a page, which then may be short; None for any number.

    Raises:
        StoreError: it is a SQLite file that does not exist.
    """
    store = source.sql_store()
    if store is None:
        return Listing(source, max_visits)
    from runlog_otel.stores.sql.history import RunHistory

    return RunHistory(store)


class Listing:
    """The runs of a source, the last written first. One that cannot be read is passed over, with a warning."""

    def __init__(self, source: Source, max_visits: int | None = None) -> None:
        self.source = source
        self._max_visits = max_visits
        self._listed = lru_cache(_REMEMBERED)(self._read)
        self._reported: set[str] = set()

    def page(
        self, run_filter: RunFilter, *, after: str | None = None, before: str | None = None, limit: int = 50
    ) -> Page:
        """The runs that match, older than the end of the page before, or newer than the beginning of the one after it.

        Raises:
            ConfigError: `after` or `before` is not from another page.
            RunlogOtelError: the source cannot be listed or reached.
        """
        is_backwards, border = after is None and before is not None, after or before
        stored = sorted(self.source.changes(run_filter.since_ns or 0), key=_position, reverse=not is_backwards)
        if border is not None:
            end = _position_from_text(border)
            stored = [run for run in stored if (_position(run) > end if is_backwards else _position(run) < end)]
        unread: list[str] = []
        shown: list[RunSummary] = []
        last = more = None
        for visits, run in enumerate(stored):
            if visits == self._max_visits:
                more = _text(stored[visits - 1])
                break
            if summary := self._matching(run, run_filter, unread):
                if len(shown) == limit:
                    more = last
                    break
                shown.append(summary)
                last = _text(run)
        if is_backwards:
            return Page(tuple(reversed(shown)), _text_of(shown[:1]), more, tuple(unread))
        return Page(tuple(shown), more, _text_of(shown[:1]) if after else None, tuple(unread))

    def outlines(self, runs: Sequence[RunSummary]) -> dict[str, Run]:
        """As `RunHistory.outlines`."""
        outlines = {}
        for run in runs:
            try:
                outlines[run.run_id] = self._listed(run.run_id, run.updated_ns).outline
            except Exception as error:  # noqa: BLE001, PERF203 it was deleted meanwhile, say
                logger.info("%s has no outline: %s", run.run_id, one_line(error))
        return outlines

    def pipelines(self, limit: int, *, after: str = "") -> list[str]:
        """As `RunHistory.pipelines`: those of the runs that were written last."""
        names = {run.pipeline for run in self.page(RunFilter(), limit=self._max_visits or _REMEMBERED).runs}
        return sorted(name for name in names if name > after)[:limit]

    @staticmethod
    def unfinished(limit: int) -> tuple[RunSummary, ...]:
        """As `RunHistory.unfinished`: none, as runs that go on are written last and so listed first."""
        return ()

    @staticmethod
    def secret_fingerprints(_: str) -> tuple[SecretFingerprint, ...]:
        """As `RunHistory.secret_fingerprints`: none are looked for."""
        return ()

    def _matching(self, stored: StoredRun, run_filter: RunFilter, unread: list[str]) -> RunSummary | None:
        if run_filter.run_ids and stored.run_id not in run_filter.run_ids:
            return None
        try:
            summary = self._listed(stored.run_id, stored.changed_ns).summary
            is_shown = _matches(summary, run_filter) and (
                not run_filter.failure or _says(self.source.run(stored.run_id), run_filter.failure)
            )
        except RunNotFoundError as error:
            self._report(stored.run_id, error)
            return None
        except RunLogFormatError as error:
            unread.append(stored.run_id)
            self._report(stored.run_id, error)
            return None
        except (RunlogOtelError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - one odd run must not hide the others
            unread.append(stored.run_id)
            self._report(stored.run_id, error)
            return None
        return summary if is_shown else None

    def _report(self, run_id: str, error: Exception) -> None:
        """Once: a page that refreshes itself would fill the log."""
        if run_id not in self._reported:
            self._reported.add(run_id)
            logger.warning("%s is not listed: %s", run_id, one_line(error))

    def _read(self, run_id: str, changed_ns: int) -> _Listed:
        run = self.source.run(run_id)
        steps = next(([replace(step, branches=())] for step in run.all_steps() if _has_failed(step)), [])
        return _Listed(_summary(run, changed_ns), replace(run, steps=tuple(steps), graph=()))


def _has_failed(step: Step) -> bool:
    return step.status is Status.FAIL and bool(step.attempts) and not step.is_terminal


def _matches(summary: RunSummary, run_filter: RunFilter) -> bool:
    pairs = (
        (summary.status, run_filter.status),
        (summary.tag, run_filter.tag),
        (summary.pipeline, run_filter.pipeline),
    )
    is_in_time = (run_filter.since_ns or 0) <= summary.created_ns < (run_filter.until_ns or summary.created_ns + 1)
    return is_in_time and all(not value or own == value for own, value in pairs)


def _summary(run: Run, changed_ns: int) -> RunSummary:
    traces = spans_from_run(run, is_abandoned=True)
    attempts = [(step, attempt) for step in run.all_steps() for attempt in step.attempts]
    starts = [a.start_ns for step, a in attempts if a.start_ns is not None and not step.is_terminal]
    ends = [attempt.end_ns for _, attempt in attempts if attempt.end_ns is not None]
    steps = [span for span in traces[-1].spans if span.role is SpanRole.STEP] if traces else []
    return RunSummary(
        run_id=run.run_id,
        source=run.host,
        pipeline=run.pipeline,
        tag=run.tag,
        status=run.status.value,
        original_run_id=run.original_run_id,
        created_ns=traces[0].spans[0].start_ns if traces else changed_ns,
        updated_ns=changed_ns,
        started_ns=min(starts, default=None),
        ended_ns=max(ends, default=None),
        steps=sum(not step.is_terminal for step in run.all_steps()),
        failed_steps=sum(step.attributes[semconv.TASK_RESULT] == Result.FAILURE.value for step in steps),
    )


def _says(run: Run, failure: str) -> bool:
    messages = chain.from_iterable((attempt.message for attempt in step.attempts) for step in run.all_steps())
    return any(failure.lower() in message.lower() for message in messages)


def _position(run: StoredRun) -> tuple[int, str]:
    return run.changed_ns, run.run_id


def _text(run: StoredRun) -> str:
    return f"{run.changed_ns}.{run.run_id}"


def _text_of(runs: Sequence[RunSummary]) -> str | None:
    return next((f"{run.updated_ns}.{run.run_id}" for run in runs), None)


def _position_from_text(after: str) -> tuple[int, str]:
    changed_ns, _, run_id = after.partition(".")
    if not changed_ns.isdecimal() or not run_id:
        raise ConfigError("after", f"{after!r} is not the end of a page")
    return int(changed_ns), run_id
