"""The execution log of a failed attempt as an OTLP log record."""

from dataclasses import dataclass

from runlog_otel.core import semconv
from runlog_otel.core.failure import LOG_BYTES, Redact, end_of_text
from runlog_otel.core.redaction import redacted
from runlog_otel.core.trace import AttemptContext, Attributes, Execution


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record as OTLP knows it; its severity is ERROR."""

    trace_id: bytes
    span_id: bytes
    time_ns: int
    body: str
    attributes: Attributes


def record_from_log(
    execution: Execution, attempt: AttemptContext, text: str, time_ns: int, redact: Redact = redacted
) -> LogRecord:
    """The end of an execution log, redacted, under the span of its attempt."""
    redaction = execution.redaction()
    attributes = {
        key: redaction.bounded(redact(value)) if isinstance(value, str) else value
        for key, value in execution.attributes({semconv.STEP_PATH: attempt.step}).items()
    }
    body = end_of_text(redact(text.strip()), LOG_BYTES)
    return LogRecord(attempt.trace_id, attempt.span_id, time_ns, body, attributes)
