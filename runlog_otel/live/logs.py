"""A filter that adds the run to a program's own log records: `handler.addFilter(RunlogContextFilter())`."""

import logging

from opentelemetry.trace import get_current_span

from runlog_otel.live.attempt_context import current


class RunlogContextFilter(logging.Filter):
    """Gives every record `run_id`, `step`, `trace_id` and `span_id`, for any formatter; empty outside of a step.

    The span is the innermost current one: the attempt's, or one of the program's own. Add the filter to a handler:
    a logger's filters do not see the records of its children.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        attempt = current()
        span = get_current_span().get_span_context()
        record.run_id = attempt.run_id if attempt else ""
        record.step = attempt.step if attempt else ""
        if span.is_valid:
            record.trace_id, record.span_id = f"{span.trace_id:032x}", f"{span.span_id:016x}"
        else:
            record.trace_id = attempt.trace_id.hex() if attempt else ""
            record.span_id = attempt.span_id.hex() if attempt else ""
        return True
