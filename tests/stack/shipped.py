"""Where the shipped files are, and runs to send through them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from runlog_otel.core.model import Run, Status
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span, SpanRole
from runlog_otel.exporters.otlp.http import OtlpHttpSink
from runlog_otel.settings import Settings
from tests.core.logs import attempt, run, task, verdict
from tests.peers.jaeger import Jaeger
from tests.peers.process import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "collector-config"
COLLECTORS = CONFIGS / "collector"
RESOURCE = {"service.name": "stack"}
SECONDS = PATIENCE_SECONDS


@dataclass(frozen=True)
class SentRun:
    """A run of two steps as the wrapper sends it: attempts when they end, containers when all is over."""

    trace_id: str
    attempts: tuple[Span, ...]
    containers: tuple[Span, ...]

    @property
    def count(self) -> int:
        """How many spans there are."""
        return len(self.attempts) + len(self.containers)


def finished_log(run_id: str, pipeline: str = "train", *, is_failed: bool = False, begins_after: float = 0) -> Run:
    """The log of a run of two steps that ended, and whose first step began so many seconds after the run."""
    first, second, end = (begins_after + seconds for seconds in (1, 2, 3))
    loaded = replace(attempt(first, second), metrics={"rows": 12})
    steps = task("load", loaded), task("fit", attempt(second, end, ok=not is_failed))
    status = Status.FAIL if is_failed else Status.SUCCESS
    log = run(*steps, verdict("fail" if is_failed else "success", end + 1), status=status)
    return replace(log, run_id=run_id, pipeline=pipeline)


def finished_run(run_id: str, *, is_failed: bool = False) -> SentRun:
    """A run that ended; what fails in it is the last attempt."""
    (trace,) = spans_from_run(finished_log(run_id, is_failed=is_failed))
    attempts = tuple(span for span in trace.spans if span.role is SpanRole.ATTEMPT)
    containers = tuple(span for span in trace.spans if span.role is not SpanRole.ATTEMPT)
    return SentRun(trace.execution.trace_id.hex(), attempts, containers)


def send(otlp_http: str, runs: Sequence[SentRun], writers: int = 4) -> None:
    """Send runs side by side, each attempt in a request of its own, or raise DeliveryError for what is not taken."""

    def send_part(part: Sequence[SentRun]) -> None:
        sink = OtlpHttpSink(Settings.load({"endpoint": otlp_http}, {}))
        for each in part:
            for span in each.attempts:
                sink.send(RESOURCE, [span], SECONDS)
            sink.send(RESOURCE, each.containers, SECONDS)
        sink.close()

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(send_part, [runs[at::writers] for at in range(writers)]))


def spans_in(jaeger: Jaeger, sent: SentRun) -> int:
    """How many spans of a run Jaeger has."""
    return len((jaeger.trace(sent.trace_id) or {"spans": ()})["spans"])


def wait_for_whole(jaeger: Jaeger, runs: Sequence[SentRun], timeout_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until Jaeger has every span of every run, or fail with what it has not."""
    waiting = list(runs)

    def is_done() -> bool:
        waiting[:] = [each for each in waiting if spans_in(jaeger, each) < each.count]
        return not waiting

    assert wait_until(is_done, timeout_seconds), {
        each.trace_id: (spans_in(jaeger, each), each.count) for each in waiting
    }
