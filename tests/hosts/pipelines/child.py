"""A program of its own that makes a span, with the parent that its environment names, as any SDK may."""

import os
import sys

import tracing
from opentelemetry import trace
from opentelemetry.propagate import extract

if __name__ == "__main__":
    tracing.set_up()
    prefix = "RUNNABLE_" if "RUNNABLE_TRACEPARENT" in os.environ and "TRACEPARENT" not in os.environ else ""
    carrier = {name: os.environ.get(prefix + name.upper(), "") for name in ("traceparent", "tracestate", "baggage")}
    with trace.get_tracer("child").start_as_current_span(f"child of {sys.argv[1]}", extract(carrier)):
        pass
