"""What a name of the mapping is: an attribute, an event, a span, a metric, with its type and help text."""

from typing import NamedTuple

from runlog_otel.core.semconv.limits import BYTE_BUCKETS, DURATION_BUCKETS, SECOND_NS


class AttributeSpec(NamedTuple):
    """An exported name: where it is used, its type, its meaning."""

    name: str
    on: str
    type: str
    help: str


class Metric(NamedTuple):
    """A metric: its labels are attributes; of `details` only the newest set is kept.

    Source of the translation: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
    """

    name: str
    kind: str
    """`counter`, `updowncounter`, `gauge` or `histogram`."""
    unit: str
    labels: tuple[str, ...]
    help: str
    details: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in its unit."""

    @property
    def scale(self) -> int:
        """What a point's value is divided by to get the metric's unit: durations are observed in whole nanoseconds."""
        return SECOND_NS if self.kind == "histogram" and self.unit == "s" else 1

    @property
    def prometheus_name(self) -> str:
        """The name of the family, without the `_total` of counters."""
        unit = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return self.name.replace(".", "_") + unit


def prefix_of(template: str) -> str:
    """The start of every name that is formatted from a template such as `METRIC`."""
    return template.partition("{")[0]


ATTRIBUTES: list[AttributeSpec] = []
SPANS: list[AttributeSpec] = []
EVENTS: list[AttributeSpec] = []
METRICS: dict[str, Metric] = {}


def attribute(name: str, on: str, type_: str, help_: str) -> str:
    """Register an attribute, of a span, an event, a link, a resource or a metric; return its name."""
    ATTRIBUTES.append(AttributeSpec(name, on, type_, help_))
    return name


def event(name: str, on: str, help_: str) -> str:
    """Register an event; return its name."""
    EVENTS.append(AttributeSpec(name, on, "event", help_))
    return name


def metric(  # noqa: PLR0917 - a table's row
    name: str, kind: str, unit: str, labels: tuple[str, ...], help_: str, details: tuple[str, ...] = ()
) -> str:
    """Register a metric; return its name."""
    METRICS[name] = Metric(name, kind, unit, labels, help_, details)
    return name


def duration(name: str, labels: tuple[str, ...], help_: str) -> str:
    """Register a histogram of durations; return its name."""
    METRICS[name] = Metric(name, "histogram", "s", labels, help_, bounds=DURATION_BUCKETS)
    return name


def size(name: str, labels: tuple[str, ...], help_: str) -> str:
    """Register a histogram of bytes; return its name."""
    METRICS[name] = Metric(name, "histogram", "By", labels, help_, bounds=BYTE_BUCKETS)
    return name


def span(name: str, kind: str, help_: str) -> str:
    """Register the template of a span's name; return it."""
    SPANS.append(AttributeSpec(name, "", kind, help_))
    return name
