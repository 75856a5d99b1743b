"""The links of a run's span to the traces that it follows: the caller's, the execution before, the original run."""

import re
from collections.abc import Iterator

from runlog_otel.core import semconv
from runlog_otel.core.model import Run
from runlog_otel.core.trace import Execution, Link, SpanRole

_TRACEPARENT = (
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<rest>-.*)?"
)


def links_of_run(run: Run, execution: Execution) -> Iterator[Link]:
    """The links of one execution's root span."""
    if execution.number > 1:
        previous = Execution(run.run_id, run.pipeline, execution.number - 1, execution.namespace)
        yield _link(previous.trace_id, previous.span_id(SpanRole.RUN), "previous_execution")
        return
    caller = re.fullmatch(_TRACEPARENT, run.header.traceparent)
    if caller and (caller["version"] != "00" or not caller["rest"]):
        trace_id, span_id = bytes.fromhex(caller["trace"]), bytes.fromhex(caller["span"])
        if any(trace_id) and any(span_id):
            yield _link(trace_id, span_id, "caller")
    if run.original_run_id and run.original_run_id != run.run_id:
        original = Execution(run.original_run_id, run.pipeline, 1, execution.namespace)
        yield _link(original.trace_id, original.span_id(SpanRole.RUN), "original_run")


def _link(trace_id: bytes, span_id: bytes, kind: str) -> Link:
    return Link(trace_id, span_id, {semconv.LINK_TYPE: kind})
