"""PromQL over the metrics in `names`: one that is renamed or gone breaks the generator, and no dashboard."""

from collections.abc import Mapping

from runlog_otel.core import semconv

PIPELINE = semconv.PIPELINE_NAME
STEP = semconv.TASK_NAME

Where = Mapping[str, str]


def label(name: str) -> str:
    """The label of an attribute."""
    return name.replace(".", "_")


def series(name: str, part: str = "", where: Where | None = None) -> str:
    """A selector of a metric's series.

    Args:
        name: of the metric.
        part: of a histogram: `count`, `sum` or `bucket`.
        where: operator and value by attribute, such as `="train"`.

    Raises:
        ValueError: the metric has no such label, or is a histogram and no part is named.
    """
    metric = semconv.METRICS[name]
    unknown = set(where or {}) - {*metric.labels, *metric.details}
    if unknown or (metric.kind == "histogram") != bool(part):
        raise ValueError(f"{name} {part}: not a part of it, or not its labels: {sorted(unknown)}")
    suffix = "_total" if metric.kind == "counter" else f"_{part}" if part else ""
    matchers = ", ".join(f"{label(attribute)}{matcher}" for attribute, matcher in (where or {}).items())
    return f"{metric.prometheus_name}{suffix}{{{matchers}}}" if matchers else f"{metric.prometheus_name}{suffix}"


FAILED = '=~"failure|timeout"'
"""Results that are a failure; a cancellation is none."""
BAD = '=~"failure|error|timeout"'
"""As well as runs that never ended."""


def grown(selector: str) -> str:
    """By how much counters grew from point to point of a graph: whole numbers, each event in one point."""
    return f"clamp_min({selector} - {selector} offset $__interval, 0)"


def total(selector: str, *by: str) -> str:
    """By how much counters grew in the time that the dashboard shows."""
    return f"round({summed(f'increase({selector}[$__range])', *by)})"


def share(part: str, whole: str, *by: str) -> str:
    """What share of counters' growth was a part of them, in the time that the dashboard shows."""
    return f"{summed(f'increase({part}[$__range])', *by)} / {summed(f'increase({whole}[$__range])', *by)}"


def summed(vector: str, *by: str) -> str:
    """A sum, by attributes."""
    return f"sum{_by(by)} ({vector})"


def largest(vector: str, *by: str) -> str:
    """A maximum, by attributes."""
    return f"max{_by(by)} ({vector})"


def quantile(share: float, name: str, *by: str, where: Where | None = None, window: str = "$__rate_interval") -> str:
    """A quantile of a histogram, by attributes."""
    grouping = ", ".join(["le", *map(label, by)])
    return f"histogram_quantile({share}, sum by ({grouping}) (rate({series(name, 'bucket', where)}[{window}])))"


def _by(attributes: tuple[str, ...]) -> str:
    return f" by ({', '.join(map(label, attributes))})" if attributes else ""
