"""The model of a run log, whichever host wrote it: runs, steps, branches, attempts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from runlog_otel.core.quick_init import quick_init

Scalar = str | bool | int | float
Value = Scalar | tuple[str, ...]
"""What an attribute can be."""


class Status(str, Enum):
    """The hosts' life cycle of a run, branch, step or attempt (`runnable.defaults`, `magnus.defaults`)."""

    CREATED = "CREATED"
    TRIGGERED = "TRIGGERED"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"

    @property
    def is_final(self) -> bool:
        """Whether no other status follows."""
        return self in (Status.SUCCESS, Status.FAIL)


FINAL_STATUSES = tuple(status.value for status in Status if status.is_final)
TERMINAL_KINDS: Mapping[str, Status] = {"success": Status.SUCCESS, "fail": Status.FAIL}
"""The kinds of steps that are the verdict of a graph and no work, and what each says."""
ITERATED_KINDS = ("map", "loop")
COMPOSITE_KINDS = ("parallel", "conditional", "dag", *ITERATED_KINDS)
JOB_KIND = "job"


class CodeIdentity(NamedTuple):
    """Which code ran: a git commit, a container image, a workflow."""

    kind: str
    identifier: str
    url: str = ""
    is_dependable: bool = False


class CatalogItem(NamedTuple):
    """A file that a step read from the data catalog (stage `get`) or wrote to it (stage `put`)."""

    name: str
    stage: str = ""
    data_hash: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, order=True)
class SecretFingerprint:
    """Identifies the value of a secret in a log that holds it in plain text, without revealing it.

    `digest` is a digest of the value, keyed by the run id (`redaction.fingerprint_of`); `characters` is its length.
    `outline` gives the class (of four) of each of the first eight characters, keyed alike: it makes the search fast.
    Older fingerprints have none.
    """

    characters: int
    digest: str
    outline: str = ""


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """What the code of an attempt reported at a moment, in nanoseconds since the epoch."""

    time_ns: int
    name: str
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the process that ran an attempt knew of it.

    `attributes` have names of `semconv`: where it ran, what it used. `annotations` and `events` are what its code said.
    """

    attributes: Mapping[str, Value] = field(default_factory=dict)
    annotations: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[AttemptEvent, ...] = ()
    error_type: str = ""
    """Why it failed, where the process knows better than the log: `oom_killed`, `cancellation`, `timeout`."""


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class ExecutionLog:
    """The file in the host's catalog that has the output of an attempt."""

    name: str
    columns: int
    """The width at which the host wrapped what it wrote there itself."""
    stderr: tuple[tuple[int, int], ...] = ()
    """First and last of each group of lines that were written to the standard error, from 0; not all need be known."""
    utc_offset_seconds: int | None = None
    """That of the attempt's start, for times in it without one."""


@quick_init
@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a step; times are nanoseconds since the epoch, None where the log has none.

    Values of parameters are as in JSON; parameters without a value in the log are left out.
    """

    number: int
    status: Status
    start_ns: int | None = None
    end_ns: int | None = None
    message: str = ""
    input_parameters: tuple[str, ...] = ()
    output_parameters: tuple[str, ...] = ()
    metrics: Mapping[str, Scalar] = field(default_factory=dict)
    code: tuple[CodeIdentity, ...] = ()
    retry_indicator: str = ""
    input_values: Mapping[str, Any] = field(default_factory=dict)
    output_values: Mapping[str, Any] = field(default_factory=dict)
    marks: tuple[SecretFingerprint, ...] = ()
    """Fingerprints of secrets in this attempt's part of the log."""
    is_start_derived: bool = False
    """Whether the start is derived from the graph, because the log has none."""
    repeat: int = 1
    """The position among attempts to which the host gave the same number within an execution, from 1."""
    execution: int | None = None
    """The number of its execution, if the process that recorded it noted it."""
    facts: Facts = NO_FACTS
    log: ExecutionLog | None = None
    """Where its output is, if it is exported."""


@quick_init
@dataclass(frozen=True, slots=True)
class Step:
    """A node of the graph as the log has it; `path` is the host's internal name."""

    name: str
    path: str
    kind: str
    status: Status
    is_mock: bool = False
    attempts: tuple[Attempt, ...] = ()
    branches: tuple["Branch", ...] = ()
    catalog: tuple[CatalogItem, ...] = ()

    @property
    def is_terminal(self) -> bool:
        """Whether the step is its graph's verdict and no work."""
        return self.kind in TERMINAL_KINDS

    @property
    def verdict(self) -> Status | None:
        """What a terminal step says of its graph; None of any other."""
        return TERMINAL_KINDS.get(self.kind)

    @property
    def is_job(self) -> bool:
        """Whether the step is a job: a run without a graph."""
        return self.kind == JOB_KIND

    @property
    def is_composite(self) -> bool:
        """Whether the step only holds branches."""
        return bool(self.branches) or self.kind in COMPOSITE_KINDS

    @property
    def has_iterations(self) -> bool:
        """Whether its branches are named by values (map, loop) and not by people."""
        return self.kind in ITERATED_KINDS


@dataclass(frozen=True, slots=True)
class Branch:
    """A graph inside a step."""

    name: str
    path: str
    status: Status
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the pipeline's last successful run, noted when an execution failed."""

    execution: int
    since: str
    """Id of the successful run."""
    revision_before: str = ""
    revision: str = ""
    """Git commits, with `+` if the work tree was not clean; empty if they are equal or one is unknown."""
    parameters: tuple[str, ...] = ()
    """Names of parameters that both runs have, with different values."""
    files: tuple[str, ...] = ()
    """Names of catalog items that both runs have, with different hashes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended, where the host's log cannot say it: noted by the process that saw it, or by hand."""

    execution: int
    result: str
    """A value of `trace.Result`: `cancellation`, `timeout` or `error`."""
    at_ns: int
    error_type: str = ""
    message: str = ""
    """Evidence, as in a failed attempt's message."""
    open_steps: tuple[str, ...] = ()
    """The paths of the steps that were in progress: only their statuses show that, and a retry changes these."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the wrapper adds to the run config, and reads back (`runlog_otel`).

    `retries` holds number and start of those executions that the rest of the log does not distinguish from the one
    before; `marks` are fingerprints of secrets in the run config.
    """

    created_ns: int | None = None
    utc_offset_seconds: int | None = None
    traceparent: str = ""
    retries: tuple[tuple[int, int], ...] = ()
    marks: tuple[SecretFingerprint, ...] = ()
    changes: tuple[Changes, ...] = ()
    pipeline: str = ""
    """The name that the user gave the pipeline, where the host's log loses it."""
    facts: Mapping[str, Value] = field(default_factory=dict)
    """Who started the run, and from which branch; by the names in `semconv`."""
    is_child: bool = False
    """Whether the run joins the caller's trace (`parent: child`)."""
    tracestate: str = ""
    """The caller's, if the run joins its trace."""
    endings: tuple[Ending, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A step in the definition of a pipeline, whether it ran or not."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step in the definition of a graph, and the names of those that follow it."""

    name: str
    next_name: str = ""
    on_failure: str = ""
    branches: Mapping[str, "Plan"] = field(default_factory=dict)
    """The graphs in it by the names of their branches; by the empty name, the one of all branches."""

    def plan_of(self, branch: str) -> "Plan":
        """The definition of a branch."""
        return self.branches.get(branch) or self.branches.get("") or NO_PLAN


@dataclass(frozen=True, slots=True)
class Plan:
    """The definition of a graph: where it starts, and its steps by name, without the terminal ones."""

    start_at: str = ""
    steps: Mapping[str, PlannedStep] = field(default_factory=dict)


NO_PLAN = Plan()


@dataclass(frozen=True, slots=True)
class Run:
    """One run log. A retry adds to it; a re-run is another one, with `original_run_id`."""

    run_id: str
    pipeline: str
    host: str
    status: Status
    header: Header = field(default_factory=Header)
    steps: tuple[Step, ...] = ()
    tag: str = ""
    dag_hash: str = ""
    original_run_id: str = ""
    use_cached: bool = False
    definition: str = ""
    executor: str = ""
    has_executor_retries: bool = False
    """Whether the executor may run a step again within an execution; a run that fails then reaches no verdict."""
    graph: tuple[Node, ...] = ()
    """The nodes of the definition at every depth, without the terminal ones."""
    plan: Plan = NO_PLAN
    """What the definition says of the order of the steps; left out of a run that has succeeded: nothing follows."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """What only this host records of a run, by the names in `semconv`."""
    input_values: Mapping[str, Any] = field(default_factory=dict)
    output_values: Mapping[str, Any] = field(default_factory=dict)
    """For hosts that record them for the run and not for attempts."""

    @property
    def ends_without_verdict(self) -> bool:
        """Whether an execution can end without a verdict: a job has no graph, and a log may hold no step."""
        return self.has_executor_retries or not self.steps or any(step.is_job for step in self.steps)

    def all_steps(self) -> Iterator[Step]:
        """Every step at every depth, in the order of the log."""
        waiting = list(reversed(self.steps))
        while waiting:
            step = waiting.pop()
            yield step
            for branch in reversed(step.branches):
                waiting.extend(reversed(branch.steps))


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run in a store.

    `changed_ns` is when it was last written, in nanoseconds since the epoch. `is_final` is False if the store knows,
    without reading the run, that it has not ended.
    """

    run_id: str
    changed_ns: int
    is_final: bool = True
