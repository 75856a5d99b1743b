"""Lists the runs of any source as the history of a SQL store does it, by reading each of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runlog_otel.core import semconv
from runlog_otel.core.model import Run, SecretFingerprint, StoredRun
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Result, SpanRole
from runlog_otel.errors import ConfigError, RunLogFormatError, RunlogOtelError, RunNotFoundError
from runlog_otel.loggers import package_logger
from runlog_otel.sources.port import Source, one_line
from runlog_otel.stores.run_list import Page, RunFilter, RunSummary

if TYPE_CHECKING:
    from runlog_otel.stores.sql.history import RunHistory

logger = package_logger(__name__)


def history_of(source: Source) -> "RunHistory | Listing":
    """What lists the runs of a source: a SQL store by queries, any other by reading them.

    Args:
        source: the source.

    Raises:
        StoreError: it is a SQLite file that does not exist.
    """
    store = source.sql_store()
    if store is None:
        return Listing(source)
    from runlog_otel.stores.sql.history import RunHistory

    return RunHistory(store)


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a source, the last written first. One that cannot be read is passed over, with a warning."""

    source: Source
    unread: list[str] = field(default_factory=list)
    """The ids of those that were passed over, but for the ones that were deleted meanwhile."""

    def page(self, run_filter: RunFilter, *, after: str | None = None, limit: int = 50) -> Page:
        """The runs that match; `after` is where the page before ended.

        Raises:
            ConfigError: `after` is not the end of a page.
            RunlogOtelError: the source cannot be listed or reached.
        """
        since_ns = run_filter.since_ns or 0
        stored = sorted(self.source.changes(since_ns), key=_position, reverse=True)
        if after is not None:
            end = _position_from_text(after)
            stored = [run for run in stored if _position(run) < end]
        shown: list[RunSummary] = []
        last = None
        for run in stored:
            if run_filter.run_ids and run.run_id not in run_filter.run_ids:
                continue
            for summary in self._summaries(run, run_filter):
                if len(shown) == limit:
                    return Page(tuple(shown), last)
                shown.append(summary)
                last = f"{run.changed_ns}.{run.run_id}"
        return Page(tuple(shown), None)

    @staticmethod
    def secret_fingerprints(_: str) -> tuple[SecretFingerprint, ...]:
        """As `RunHistory.secret_fingerprints`: none are looked for."""
        return ()

    def _summaries(self, stored: StoredRun, run_filter: RunFilter) -> Iterator[RunSummary]:
        try:
            run = self.source.run(stored.run_id)
            summary = _summary(run, stored.changed_ns)
        except RunNotFoundError as error:
            logger.warning("%s is not listed: %s", stored.run_id, error)
            return
        except RunLogFormatError as error:
            self._pass_over(stored, error)
            return
        except (RunlogOtelError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - one odd run must not hide the others
            self._pass_over(stored, error)
            return
        pairs = (
            (summary.status, run_filter.status),
            (summary.tag, run_filter.tag),
            (summary.pipeline, run_filter.pipeline),
        )
        is_in_time = (run_filter.since_ns or 0) <= summary.created_ns < (run_filter.until_ns or summary.created_ns + 1)
        if all(not value or own == value for own, value in pairs) and is_in_time and _says(run, run_filter.failure):
            yield summary

    def _pass_over(self, stored: StoredRun, error: Exception) -> None:
        self.unread.append(stored.run_id)
        logger.warning("%s is not listed: %s", stored.run_id, one_line(error))


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
    messages = (attempt.message for step in run.all_steps() for attempt in step.attempts)
    return not failure or any(failure.lower() in message.lower() for message in messages)


def _position(run: StoredRun) -> tuple[int, str]:
    return run.changed_ns, run.run_id


def _position_from_text(after: str) -> tuple[int, str]:
    changed_ns, _, run_id = after.partition(".")
    if not changed_ns.isdecimal() or not run_id:
        raise ConfigError("after", f"{after!r} is not the end of a page")
    return int(changed_ns), run_id
