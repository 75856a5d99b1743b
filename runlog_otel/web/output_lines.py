"""What attempts printed, where it is kept: the last lines of some of them, masked as everywhere."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from runlog_otel.core.executions import Timeline
from runlog_otel.core.log_lines import ERROR, WARN, AttemptLog, LogRecord, Output
from runlog_otel.core.model import Attempt, ExecutionLog, Run, Status
from runlog_otel.core.semconv import LOG_IOSTREAM
from runlog_otel.core.trace import Execution, SpanRole
from runlog_otel.errors import RunlogOtelError
from runlog_otel.web.waterfall import Waterfall

MAX_ATTEMPTS = 10
MAX_LINES = 100
_MAX_CHARACTERS = 1000


class Line(NamedTuple):
    """A line; `severity` is `bad`, `warn` or empty."""

    text: str
    severity: str
    is_stderr: bool


@dataclass(frozen=True, slots=True)
class AttemptOutput:
    """The last lines of an attempt, and how many came before; `problem` says why they cannot be read."""

    row: str
    where: str
    attempt: int
    has_failed: bool
    lines: tuple[Line, ...] = ()
    before: int = 0
    problem: str = ""


def outputs(
    run: Run,
    execution: Execution,
    timeline: Timeline,
    waterfall: Waterfall,
    read: Callable[[ExecutionLog], Output | None],
) -> Iterator[AttemptOutput]:
    """The output of the failed attempts of an execution, then of its latest ones; of `MAX_ATTEMPTS` at most.

    It is read no further after a first problem: the place where it is kept is out of reach.
    """
    named = [
        (step.path, attempt)
        for step in run.all_steps()
        for attempt in timeline.attempts(step, execution.number)
        if attempt.log
    ]
    named.sort(key=lambda pair: (pair[1].status is Status.SUCCESS, -(pair[1].end_ns or 0)))
    for path, attempt in named[:MAX_ATTEMPTS]:
        step = execution.span_id(SpanRole.STEP, path)
        empty = AttemptOutput(
            waterfall.row_of(step), waterfall.names[step], attempt.number, attempt.status is Status.FAIL
        )
        try:
            lines = _records(execution, path, attempt, read)
        except RunlogOtelError as error:
            yield replace(empty, problem=str(error))
            return
        if lines:
            yield replace(empty, lines=tuple(map(_line, lines[-MAX_LINES:])), before=max(0, len(lines) - MAX_LINES))


def _records(
    execution: Execution, path: str, attempt: Attempt, read: Callable[[ExecutionLog], Output | None]
) -> list[LogRecord]:
    output = read(attempt.log) if attempt.log else None
    return AttemptLog(execution, path, attempt, output).records() if output else []


def _line(record: LogRecord) -> Line:
    number = record.severity.number
    severity = "bad" if number >= ERROR.number else "warn" if number >= WARN.number else ""
    text = record.body if len(record.body) <= _MAX_CHARACTERS else f"{record.body[:_MAX_CHARACTERS]}…"
    return Line(text, severity, record.attributes.get(LOG_IOSTREAM) == "stderr")
