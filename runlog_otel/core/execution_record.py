"""What diagnosis and comparison need of one execution: small, sanitised, and equal in whatever order the log is.

`record_mapping` makes it of the spans that are exported, so it holds nothing that may not leave. Of a run with 10,000
iterations it has one entry for each step of the graph, and the failures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runlog_otel.core import semconv
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.trace import Result, SpanRole

ITERATION = "*"
"""Stands for the value of an iteration in a step's place in the graph."""
USAGE = (semconv.CPU_TIME, semconv.MEMORY_PEAK, semconv.IO_READ, semconv.IO_WRITE)
"""What is compared of what attempts used; the peak of memory is the highest of a step, the others are its sum."""
_WORST_FIRST = (
    *(Result.FAILURE.value, Result.TIMEOUT.value, Result.CANCELLATION.value, Result.ERROR.value),
    *(Result.SUCCESS.value, Result.SKIP.value),
)
HARMLESS = (Result.SUCCESS.value, Result.SKIP.value)


@dataclass(frozen=True, slots=True)
class Part:
    """A step or branch that did not succeed, or a failed attempt; times are nanoseconds since the epoch."""

    role: SpanRole
    path: str
    """The host's internal name."""
    step: str
    """The step's name; of a branch its own."""
    key: str
    """Its place in the graph, without the values of iterations: `clean/*/parse`."""
    result: str
    start_ns: int
    end_ns: int
    error_type: str = ""
    description: str = ""
    has_failed_inside: bool = False
    """Whether a part inside it did not succeed either; of an attempt, whether a branch of its step did not."""
    is_open: bool = False
    """Whether it never ended: no attempt of it is recorded."""
    survived_by: str = ""
    """The innermost part around it, or itself, that succeeded: `step`, `branch` or `run`; empty if none did."""
    attempt: int = 0
    evidence: "Evidence | None" = None
    """Of an attempt."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why an attempt failed, or how an execution ended."""

    fingerprint: Fingerprint
    message: str
    stacktrace: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """All that ran at one place of the graph."""

    key: str
    name: str
    kind: str
    count: int
    """How many: more than 1 in iterations."""
    start_ns: int
    """When the first one began, in nanoseconds since the epoch."""
    duration_ns: int
    """Of the longest."""
    results: Mapping[str, int]
    retried: int = 0
    """How many succeeded after a failed attempt."""
    usage: Mapping[str, float] = field(default_factory=dict)
    """By the names in `USAGE`."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Which code ran, and where, by the names in `semconv`; what differs between iterations is left out."""

    @property
    def result(self) -> str:
        """The worst of its results."""
        return next((result for result in _WORST_FIRST if self.results.get(result)), "")

    @property
    def has_failed(self) -> bool:
        """Whether any failed, timed out or was cancelled."""
        return any(count for result, count in self.results.items() if result not in HARMLESS)

    @property
    def has_passed(self) -> bool:
        """Whether all succeeded."""
        return self.results.get(Result.SUCCESS.value, 0) > 0 and not self.has_failed


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """The value of a parameter: what may be shown of it, and what tells whether it differs."""

    token: bytes = field(repr=False)
    """Never leaves the process: a short value could be guessed from it."""
    shown: str = ""
    """The value, if it is allowed, or its digest if these are exported."""


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """An execution in an answer; times are nanoseconds since the epoch."""

    run_id: str
    execution: int
    executions: int
    """How many the run has."""
    pipeline: str
    tag: str
    trace_id: str
    result: str
    """As that of its run span; empty while it runs."""
    is_complete: bool
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One execution of a run; times are nanoseconds since the epoch."""

    run_id: str
    pipeline: str
    tag: str
    execution: int
    executions: int
    """How many the run has."""
    trace_id: str
    result: str
    """As that of its run span; of one that has not ended `error`."""
    is_complete: bool
    start_ns: int
    end_ns: int
    error_type: str
    description: str
    steps: Mapping[str, StepRecord]
    """By their place in the graph, in the order in which they began."""
    parts: tuple[Part, ...]
    """What did not succeed."""
    ending: Evidence | None
    """How it ended, if the host raised or it was broken off."""
    pauses_ns: int
    """The time in which no step of the root graph ran."""
    names: frozenset[str]
    """The names of the steps that ran, in this or an earlier execution."""
    nodes: tuple[str, ...]
    """The names of all steps of the definition, if the log has it."""
    code: Mapping[str, str]
    inputs: Mapping[str, ParameterRecord]
    """The parameters that the run began with."""
    returned: Mapping[str, ParameterRecord]
    catalog: Mapping[tuple[str, str], str]
    """Stage and name of each file, and its last hash."""
    changes: Mapping[str, tuple[str, ...]]
    """What was noted as changed since the last success, when it failed: attributes of that event."""

    @property
    def duration_ns(self) -> int:
        """From its first to its last moment in the log."""
        return self.end_ns - self.start_ns

    @property
    def has_succeeded(self) -> bool:
        """Whether it is complete, with success."""
        return self.is_complete and self.result == Result.SUCCESS.value

    @property
    def has_failed(self) -> bool:
        """Whether it is complete, without success."""
        return self.is_complete and self.result != Result.SUCCESS.value

    @property
    def summary(self) -> ExecutionSummary:
        """The part of it that answers show."""
        return ExecutionSummary(
            run_id=self.run_id,
            execution=self.execution,
            executions=self.executions,
            pipeline=self.pipeline,
            tag=self.tag,
            trace_id=self.trace_id,
            result=self.result if self.is_complete else "",
            is_complete=self.is_complete,
            start_ns=self.start_ns,
            duration_ns=self.duration_ns,
        )
