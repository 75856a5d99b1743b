"""What the pipelines call."""

import os
import signal
from pathlib import Path

from magnus import track_this
from pydantic import BaseModel


class Regions(BaseModel):
    """A parameter."""

    regions: list[str]


def load() -> Regions:
    """Return a parameter, write a file, track metrics: a scalar, a model, and one for each of two steps."""
    track_this(Rows=3, quality={"mean": 0.5, "label": "fair"})
    track_this(step=0, loss=0.5)
    track_this(step=1, loss=0.25)
    Path("data.csv").write_text("a,b\n")
    return Regions(regions=os.environ.get("REGIONS", "north,south west").split(","))


def clean(region: str) -> None:
    """Fail for a region of that name."""
    if region == "broken":
        raise ValueError(f"nothing is known of {region}")
    print(f"EVENT cleaned {region}")


def nothing() -> None:
    """Succeed."""
    print("EVENT nothing")


def traced() -> None:
    """Tell what is current, to programs and to instrumentations."""
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    print(f"EVENT {os.environ['TRACEPARENT']} {span.trace_id:032x}-{span.span_id:016x}")


def boom() -> None:
    """Fail."""
    raise ValueError("the mirror postgresql://somebody:hunter2@db/runs is down")


def fragile() -> None:
    """Fail until there is a file of that name."""
    if not Path("mended").exists():
        raise RuntimeError("not mended yet")


def killed() -> None:
    """Take the whole process along."""
    os._exit(9)


def annotated() -> None:
    """Say something of the attempt."""
    import runlog_otel

    runlog_otel.annotate(rows=123)
    runlog_otel.event("checkpoint", epoch=3)


def interrupted() -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)
