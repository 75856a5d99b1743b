"""What the code of a step calls to say something of its attempt, without OpenTelemetry."""

from typing import Any

from runlog_otel.live.attempt_context import annotations_here
from runlog_otel.loggers import package_logger


def annotate(**values: Any) -> None:
    """Add attributes to the attempt at a step whose code runs here; outside of a step, do nothing.

    Args:
        values: numbers, texts, lists of texts; of other values, their JSON. The last value of a name counts.
    """
    if annotations := annotations_here():
        for name, value in values.items():
            annotations.annotate(name, value)
    else:
        _log_absence()


def event(name: str, /, **attributes: Any) -> None:
    """Add an event, which happens now, to the attempt at a step whose code runs here; outside of a step, do nothing.

    Args:
        name: what happens.
        attributes: see `annotate`.
    """
    if annotations := annotations_here():
        annotations.event(name, attributes)
    else:
        _log_absence()


def _log_absence() -> None:
    package_logger().debug("nothing is annotated: no step runs here")
