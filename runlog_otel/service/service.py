"""`runlog-otel serve`: the only writer of metrics, which reads the stores and is scraped; it also resends traces."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from runlog_otel.core import semconv
from runlog_otel.core.points import Labels, Point, labels_of
from runlog_otel.core.trace import Trace
from runlog_otel.errors import RunlogOtelError
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.loggers import package_logger
from runlog_otel.service.counting import OnEnded, RunCounter
from runlog_otel.service.resending import Resender
from runlog_otel.service.state import State
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source, one_line

logger = package_logger("runlog_otel.serve")


class Resend(str, Enum):
    """Which traces `serve` sends."""

    NONE = "none"
    UNSENT = "unsent"
    """Runs in the outbox, and abandoned runs."""
    ALL = "all"
    """Also every run that ends: a pod's outbox is lost with the pod."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How `serve` works: how often it polls, when a run that is not written counts as abandoned, what it sends."""

    interval_seconds: float = 15.0
    abandoned_after: timedelta = timedelta(hours=24)
    resend: Resend = Resend.UNSENT
    max_series: int = 2000
    by_tag: bool = False
    push_to: Settings | None = None
    """Where all series are also pushed after each poll."""


class Service:
    """Polls the sources; `table` is what is scraped."""

    def __init__(self, sources: Sequence[Source], state: State, options: ServeOptions | None = None) -> None:
        self._options = options or ServeOptions()
        self._state = state
        self.table = SeriesTable(self._options.max_series)
        state.restore(self.table)
        self._resenders = [Resender(source, self.table) for source in sources]
        self._counters = [
            RunCounter(source, state, self.table, self._to_resend(resender), by_tag=self._options.by_tag)
            for source, resender in zip(sources, self._resenders, strict=True)
        ]

    @property
    def is_ready(self) -> bool:
        """Whether every source was read to its end at least once."""
        return all(counter.is_caught_up for counter in self._counters)

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set."""
        while not stop.is_set():
            self.poll()
            stop.wait(self._options.interval_seconds)

    def close(self) -> None:
        """Close the connections and the state."""
        for resender in self._resenders:
            resender.close()
        for counter in self._counters:
            counter.source.close()
        self._state.close()

    def poll(self) -> None:
        """Read what changed, count it, send what waits. What fails is logged, counted and tried again next time."""
        started = time.monotonic()
        outcomes = [
            self._poll_one(counter, resender) for counter, resender in zip(self._counters, self._resenders, strict=True)
        ]
        now_ns = time.time_ns()
        self._show_active(now_ns)
        if all(outcomes):
            self.table.replace(semconv.EXPORTER_LAST_POLL, {(): now_ns / semconv.SECOND_NS}, now_ns)
        self.table.replace(semconv.EXPORTER_POLL_DURATION, {(): time.monotonic() - started}, now_ns)
        self.table.replace(
            semconv.RUNS_UNSENT, {(): float(sum(resender.unsent() for resender in self._resenders))}, now_ns
        )
        self._push()
        with self._state.transaction():
            self._state.keep(self.table.take_changed())

    def _push(self) -> None:
        if self._options.push_to is None or not self.is_ready:
            return
        from runlog_otel.exporters.otlp.metrics import push_cumulative

        try:
            push_cumulative(self._options.push_to, self.table, self._state.created_ns)
        except RunlogOtelError as error:
            logger.warning("%s", error)
        except Exception as error:  # noqa: BLE001 - a series that cannot be encoded, say: counting goes on
            logger.warning("the metrics were not pushed: %s", one_line(error))

    def _poll_one(self, counter: RunCounter, resender: Resender) -> bool:
        try:
            counter.poll()
            counter.end_deleted()
            counter.close_abandoned(time.time_ns() - int(self._options.abandoned_after.total_seconds() * 1e9))
            if self._options.resend is not Resend.NONE:
                resender.resend()
            self._show_size()
        except (RunlogOtelError, OSError) as error:
            logger.warning("%s", error)
            self.table.add([Point(semconv.EXPORTER_FAILURES, (), 1)])
            return False
        return True

    def _to_resend(self, resender: Resender) -> OnEnded:
        resent = {Resend.NONE: (), Resend.UNSENT: (True,), Resend.ALL: (True, False)}[self._options.resend]

        def on_ended(run_id: str, traces: Sequence[Trace], is_abandoned: bool) -> None:
            if is_abandoned in resent:
                reason = "it stopped moving" if is_abandoned else "it ended"
                resender.remember(run_id, reason, traces, is_abandoned=is_abandoned)

        return on_ended

    def _show_active(self, now_ns: int) -> None:
        counts: dict[Labels, float] = defaultdict(float)
        ages: dict[Labels, float] = {}
        served = {counter.source.where for counter in self._counters}
        for run in self._state.active():
            if run.source not in served:  # its end would not be noticed
                continue
            attributes = {
                semconv.PIPELINE_NAME: run.pipeline,
                semconv.RUN_TAG: run.tag,
                semconv.PIPELINE_RUN_STATE: "executing",
            }
            counts[labels_of(semconv.RUNS_ACTIVE, attributes)] += 1
            age = max(0, now_ns - run.started_ns) / semconv.SECOND_NS
            labels = labels_of(semconv.OLDEST_ACTIVE, attributes)
            ages[labels] = max(age, ages.get(labels, 0.0))
        self.table.replace(semconv.RUNS_ACTIVE, counts, now_ns)
        self.table.replace(semconv.OLDEST_ACTIVE, ages, now_ns)

    def _show_size(self) -> None:
        sizes = []
        for counter in self._counters:
            with counter.guarded():
                size = counter.source.size_bytes()
            if size is not None:
                sizes.append(size)
        if sizes:
            self.table.replace(semconv.STORE_SIZE, {(): float(sum(sizes))}, time.time_ns())
