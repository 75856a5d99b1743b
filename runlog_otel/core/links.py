"""The links of a run's span to the traces that it follows, the caller's, the execution before, the original run; and to
pages.
"""

from collections.abc import Iterator
from dataclasses import replace

from runlog_otel.core import semconv
from runlog_otel.core.caller import caller_from
from runlog_otel.core.model import Run
from runlog_otel.core.trace import Execution, Link, SpanRole


def links_of_run(run: Run, execution: Execution) -> Iterator[Link]:
    """The links of one execution's root span; none to a caller whose trace it joined."""
    if execution.number > 1:
        previous = replace(execution, number=execution.number - 1)
        yield _link(previous.trace_id, previous.span_id(SpanRole.RUN), "previous_execution")
        return
    if execution.caller is None and (caller := caller_from(run.header.traceparent)):
        yield _link(caller.trace_id, caller.span_id, "caller")
    if run.original_run_id and run.original_run_id != run.run_id:
        original = Execution(run.original_run_id, run.pipeline, 1, execution.namespace)
        yield _link(original.trace_id, original.span_id(SpanRole.RUN), "original_run")


def _link(trace_id: bytes, span_id: bytes, kind: str) -> Link:
    return Link(trace_id, span_id, {semconv.LINK_TYPE: kind})


def trace_url(ui: str, trace_id: bytes, span_id: bytes = b"") -> str:
    """The URL of a trace, or of a span in it, in Jaeger's user interface at `ui`; empty without `ui`."""
    if not ui:
        return ""
    page = f"{ui.rstrip('/')}/trace/{trace_id.hex()}"
    return f"{page}?uiFind={span_id.hex()}" if span_id else page
