"""The output of an attempt as log records, from the execution log that the host keeps. Pure.

A record is a line. The host keeps plain text, so severity and time are read from the line itself: live and on replay,
from the same file, the records are the same bytes. Patterns are compiled by `re` at first use, where records are made.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from runlog_otel.core import failure, semconv
from runlog_otel.core.executions import timeline_of
from runlog_otel.core.intervals import times_of
from runlog_otel.core.model import Attempt, ExecutionLog, Run
from runlog_otel.core.redaction import Redaction
from runlog_otel.core.runlogs.timestamps import nanoseconds
from runlog_otel.core.trace import Attributes, Execution, SpanRole

MAX_BYTES = 1024 * 1024
"""How much of an attempt's output is exported: if it is more, the first and the last half of this."""
MARGIN = 16 * 1024
"""How much more is read, and dropped once it is redacted: a secret that is cut in two is not recognised."""
READ_BYTES = MAX_BYTES // 2 + MARGIN
"""How much is read from each end of a file that is too long."""
_RESYNC_LINES = 50
_MAX_LINE = 32 * 1024
"""The most characters of a record; a longer line is several records."""
_RECORD_BYTES = 100
"""Counted for each record beside its body, so that empty output is bounded too."""

_ESCAPE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"
"""Colours and other controls of terminals (ECMA-48)."""
_NAMES = r"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|CRITICAL|FATAL"
_LEVEL = rf"(?:^|[\s\[(|<:])({_NAMES})(?=[\s\])|>:,]|$)|(?i:\b(?:level|lvl|severity)\"?\s?[=:]\s?\"?({_NAMES})\b)"
_LEVEL_WITHIN = 120
"""How far into a line its level is looked for."""
_TIME = (
    r"\W?(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))? ?"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?"
)
_TRACEBACK = r"Traceback \(most recent call last\):$|╭─+ Traceback "
_IN_TRACEBACK = (" ", "│", "╭", "╰")


class Severity(NamedTuple):
    """A severity as OTLP has it (Logs Data Model, "Severity Fields")."""

    number: int
    text: str


UNKNOWN = Severity(0, "")
WARN = Severity(13, "WARN")
ERROR = Severity(17, "ERROR")
_FATAL = Severity(21, "FATAL")
_SEVERITIES = {
    "TRACE": Severity(1, "TRACE"),
    "DEBUG": Severity(5, "DEBUG"),
    "INFO": Severity(9, "INFO"),
    "NOTICE": Severity(10, "INFO2"),
    "WARN": WARN,
    "WARNING": WARN,
    "ERROR": ERROR,
    "SEVERE": ERROR,
    "CRITICAL": _FATAL,
    "FATAL": _FATAL,
}


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record as OTLP knows it."""

    trace_id: bytes
    span_id: bytes
    time_ns: int
    severity: Severity
    body: str
    attributes: Attributes
    """What the records of an attempt share."""
    number: int = 1
    """Of the line among those of the attempt, from 1."""

    @property
    def uid(self) -> str:
        """`log.record.uid`: equal in all copies of the record, and in no other one."""
        return f"{self.span_id.hex()}-{self.number}"


@dataclass(frozen=True, slots=True)
class Output:
    """An execution log as it was read: all of it, or its first and last parts."""

    first: str
    last: str = ""
    left_out_bytes: int = 0

    def cleaned(self, columns: int) -> "Output":
        """What the step's code wrote: without parameters and colours, lines that the host folded joined again."""
        return Output(_cleaned(self.first, columns), _cleaned(self.last, columns), self.left_out_bytes)


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """The output of an attempt, and what its records say of the attempt."""

    execution: Execution
    step: str
    attempt: Attempt
    output: Output

    def records(self) -> list[LogRecord]:
        """The output as records, redacted; none of an attempt that has no times, or names no log."""
        interval, log = times_of(self.attempt), self.attempt.log
        if interval is None or log is None:
            return []
        redaction = self.execution.redaction(self.attempt.marks)
        attributes = {
            key: redaction.bounded(value) if isinstance(value, str) else value
            for key, value in self.execution.attributes({semconv.STEP_PATH: self.step}).items()
        }
        span_id = self.execution.span_id(SpanRole.ATTEMPT, self.step, self.attempt.number, self.attempt.repeat)
        trace_id = self.execution.trace_id
        bodies = list(_bodies(self.output.cleaned(log.columns), redaction))
        times = _times(bodies, interval, log.utc_offset_seconds)
        stderr = _stderr_bodies(bodies, self.output.first, log, redaction)
        lines = enumerate(zip(bodies, times, _severities(bodies), strict=True), 1)
        of_stderr = {**attributes, semconv.LOG_IOSTREAM: "stderr"}
        return [
            LogRecord(trace_id, span_id, at_ns, severity, body, of_stderr if n in stderr else attributes, n)
            for n, (body, at_ns, severity) in lines
        ]


def logs_of_execution(
    run: Run, execution: Execution, read: Callable[[ExecutionLog], Output | None]
) -> Iterator[AttemptLog]:
    """The logs that the attempts of an execution name, those of them that can still be read."""
    timeline = timeline_of(run)
    for step in run.all_steps():
        for attempt in timeline.attempts(step, execution.number):
            output = read(attempt.log) if attempt.log else None
            if output:
                yield AttemptLog(execution, step.path, attempt, output)


def _cleaned(text: str, columns: int) -> str:
    text = failure.without_parameters(failure.unfolded(text, max(columns, 10)))
    return re.sub(_ESCAPE, "", text)


def _bodies(output: Output, redaction: Redaction) -> Iterator[str]:
    """The bodies of the records. Text is redacted, then cut."""
    first, last = redaction(output.first), redaction(output.last)
    if output.left_out_bytes:
        margin = max([MARGIN, *(mark.characters for mark in redaction.marks)])
        head, tail = list(_lines(first[:-margin].rpartition("\n")[0])), list(_lines(last[margin:].partition("\n")[2]))
    else:
        head = list(_lines(first))
        if sum(map(_size, head)) <= MAX_BYTES:
            yield from head
            return
        tail = head[len(list(_within(head))) :]
    kept, end = list(_within(head)), list(_within(reversed(tail)))[::-1]
    left_out = output.left_out_bytes + len(first) + len(last) - sum(len(body) + 1 for body in (*kept, *end))
    yield from kept
    yield f"… about {left_out:,} bytes of output are left out here …"
    yield from end


def _lines(text: str) -> Iterator[str]:
    """The lines that are not blank, as a terminal shows them after their carriage returns, in pieces if long."""
    for line in text.split("\n"):
        shown = line.rstrip().rpartition("\r")[2]
        for at in range(0, len(shown), _MAX_LINE):
            yield shown[at : at + _MAX_LINE]


def _stderr_bodies(bodies: Sequence[str], text: str, log: ExecutionLog, redaction: Redaction) -> set[int]:
    """The numbers, from 1, of the bodies that come from the lines of a raw text which stderr got.

    Both are in the same order, but lines were removed and joined: a line is looked for in the bodies that come next.
    """
    lines = text.split("\n")
    stderr = {number for first, last in log.stderr for number in range(first, min(last + 1, len(lines)))}
    found: set[int] = set()
    at = 0
    for number, line in enumerate(lines[: max(stderr, default=-1) + 1]):
        body = next(_lines(redaction(re.sub(_ESCAPE, "", line))), None)
        with suppress(ValueError):
            at = bodies.index(body, at, at + _RESYNC_LINES) + 1
            if number in stderr:
                found.add(at)
    return found


def _within(lines: Iterable[str]) -> Iterator[str]:
    """As many lines as fit into half of the limit."""
    left = MAX_BYTES // 2
    for line in lines:
        left -= _size(line)
        if left < 0:
            return
        yield line


def _size(line: str) -> int:
    return len(line.encode("utf-8", "replace")) + _RECORD_BYTES


def _severities(bodies: Iterable[str]) -> Iterator[Severity]:
    """The level that each line names; ERROR for the lines of a traceback and the exception below it."""
    in_traceback = False
    for body in bodies:
        if in_traceback:
            in_traceback = body.startswith(_IN_TRACEBACK)
            yield ERROR
        elif re.match(_TRACEBACK, body):
            in_traceback = True
            yield ERROR
        else:
            level = re.search(_LEVEL, body[:_LEVEL_WITHIN])
            yield _SEVERITIES[(level[1] or level[2]).upper()] if level else UNKNOWN


def _times(bodies: Sequence[str], interval: tuple[int, int], utc_offset_seconds: int | None) -> Iterator[int]:
    """A time for each line: the one that it begins with, if that is within the attempt; else right after the last.

    Backends sort by time, so it always increases.
    """
    start_ns, end_ns = interval
    last_ns = start_ns - 1
    for body in bodies:
        own_ns = _time_in(body, utc_offset_seconds)
        is_plausible = own_ns is not None and last_ns < own_ns <= end_ns
        last_ns = own_ns if own_ns is not None and is_plausible else last_ns + 1
        yield last_ns


def _time_in(line: str, utc_offset_seconds: int | None) -> int | None:
    """The time (ISO 8601) at the beginning of a line, which is at the attempt's UTC offset unless it says its own."""
    match = re.match(_TIME, line)
    if match is None or (match["zone"] is None and utc_offset_seconds is None):
        return None
    if match["hours"]:
        seconds = int(match["hours"]) * 3600 + int(match["minutes"]) * 60
        utc_offset_seconds = -seconds if match["sign"] == "-" else seconds
    elif match["zone"]:
        utc_offset_seconds = 0
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    try:
        zone = timezone(timedelta(seconds=utc_offset_seconds or 0))
        return nanoseconds(datetime.fromisoformat(f"{match['date']}T{match['time']}.{fraction}").replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None
