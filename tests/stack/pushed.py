"""Runs whose metrics are pushed, and how a Collector and `serve` expose them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from runlog_otel.core import semconv
from runlog_otel.core.model import Run
from runlog_otel.exporters.metrics.prometheus import SeriesCollector
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.exporters.otlp.metrics import push_cumulative, push_delta
from runlog_otel.settings import Settings
from tests.core.logs import at, points_from_run
from tests.peers.collector import Samples, ShippedCollector
from tests.stack.shipped import SECONDS, finished_log

_DETAILS = tuple(name.replace(".", "_") for name in semconv.METRICS[semconv.STEP_LAST_FAILURE].details)
_OF_THE_SENDER = ("job", "instance")


def overlapping_runs(pipeline: str, count: int) -> list[Run]:
    """Runs of a pipeline, a quarter of them failed, whose ends are not in their order."""
    return [
        finished_log(f"{pipeline}-{number}", pipeline, is_failed=number % 4 == 0, begins_after=number * 7 % 20)
        for number in range(count)
    ]


def push_each(otlp_http: str, runs: Sequence[Run]) -> None:
    """Push what each run adds, once, 8 runs at a time."""
    settings = Settings.load({"endpoint": otlp_http}, {})
    executions = [execution for run in runs for execution in points_from_run(run)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda execution: push_delta(settings, execution, SECONDS), executions))


def push_all(otlp_http: str, runs: Sequence[Run]) -> None:
    """Push the sum of what the runs add, as `serve` does."""
    push_cumulative(Settings.load({"endpoint": otlp_http}, {}), _table(runs), at(0))


def served(runs: Sequence[Run]) -> Samples:
    """What `serve` exposes of the runs, without what it tells of the newest failure: pushed, that adds up to series."""
    metric = semconv.METRICS[semconv.STEP_LAST_FAILURE].prometheus_name
    samples = [sample for family in SeriesCollector(_table(runs)).collect() for sample in family.samples]
    hidden = {each.name: _DETAILS if each.name == metric else () for each in samples}
    return {(each.name, _without(hidden[each.name], each.labels.items())): each.value for each in samples}


def exposed_of(collector: ShippedCollector, pipeline: str) -> Samples:
    """What a Collector exposes of a pipeline, without the labels of who sent it."""
    return {
        (name, _without(_OF_THE_SENDER, labels)): value
        for (name, labels), value in collector.exposed().items()
        if ("cicd_pipeline_name", pipeline) in labels
    }


def _table(runs: Sequence[Run]) -> SeriesTable:
    table = SeriesTable()
    for run in runs:
        for execution in points_from_run(run):
            table.add(execution.points)
    return table


def _without(names: tuple[str, ...], labels: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Labels but these and empty ones, which are none to Prometheus, with bounds written alike."""
    left = [(name, value) for name, value in labels if value and name not in names]
    return frozenset((name, str(float(value)) if name == "le" else value) for name, value in left)
