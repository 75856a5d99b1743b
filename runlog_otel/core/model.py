"""What a run log is, whoever wrote it: runs, steps, branches, attempts. Imports nothing of the project."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Scalar = str | bool | int | float


class Status(str, Enum):
    """The hosts' own life cycle of a run, branch, step or attempt (`runnable.defaults`, `magnus.defaults`)."""

    CREATED = "CREATED"
    TRIGGERED = "TRIGGERED"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self in (Status.SUCCESS, Status.FAIL)


FINAL_STATUSES = tuple(status.value for status in Status if status.is_final)
TERMINAL_KINDS: Mapping[str, Status] = {"success": Status.SUCCESS, "fail": Status.FAIL}
"""The kinds of steps that are the verdict of a graph and no work, and what each says."""
ITERATED_KINDS = ("map", "loop")
COMPOSITE_KINDS = ("parallel", "conditional", "dag", *ITERATED_KINDS)
JOB_KIND = "job"


@dataclass(frozen=True, slots=True)
class CodeIdentity:
    """Which code ran: a git commit, a container image, a workflow."""

    kind: str
    identifier: str
    url: str = ""
    is_dependable: bool = False


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """A file that a step took from the data catalog (stage `get`) or gave to it (stage `put`)."""

    name: str
    stage: str = ""
    data_hash: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, order=True)
class SecretFingerprint:
    """How to find the value of a secret in a log that holds it in plain, without saying what it is.

    `digest` is one of the value's `characters`, keyed by the run id (`redaction.fingerprint_of`). `outline` says,
    keyed alike,
    in which of four classes each of the first eight is: by it the value is looked for. Older marks have none.
    """

    characters: int
    digest: str
    outline: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a step; times are nanoseconds since the epoch, None where the log has none.

    Values are those of parameters that have one in the log, as JSON has it.
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
    """Of secrets that stand in this attempt's part of the log."""
    is_start_derived: bool = False
    """Whether the log has no start: it then follows from the graph."""
    repeat: int = 1
    """Which one it is of several that the host gave the same number to within an execution."""
    execution: int | None = None
    """The number of the execution that it belongs to, as noted by the process that recorded it."""


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
    """What is not as it was in the last run of the pipeline that succeeded, when an execution failed."""

    execution: int
    since: str
    """Id of the run that succeeded."""
    revision_before: str = ""
    revision: str = ""
    """Git commits, `+` after one whose tree was not clean; empty when they are equal or one is not known."""
    parameters: tuple[str, ...] = ()
    """Names of those that both runs have, with other values."""
    files: tuple[str, ...] = ()
    """Names of catalog items that both runs have, with other hashes."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the wrapper adds to the run config, and reads back (`runlog_otel`).

    `retries` holds number and start of those executions that the rest of the log cannot tell from the one before;
    `marks` are of secrets that stand in the run config.
    """

    created_ns: int | None = None
    utc_offset_seconds: int | None = None
    traceparent: str = ""
    retries: tuple[tuple[int, int], ...] = ()
    marks: tuple[SecretFingerprint, ...] = ()
    changes: tuple[Changes, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A step as the definition of a pipeline has it, run or not."""

    name: str
    kind: str


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
    attributes: Mapping[str, Scalar | tuple[str, ...]] = field(default_factory=dict)
    """What only this host tells of a run, by the names in `names`."""
    input_values: Mapping[str, Any] = field(default_factory=dict)
    output_values: Mapping[str, Any] = field(default_factory=dict)
    """Where a host has them of the run, and not of attempts."""

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
    """A run that a store has.

    `changed_ns` is when it was last written, in nanoseconds since the epoch. `is_final` is False where the store knows,
    without reading the run, that it has not ended.
    """

    run_id: str
    changed_ns: int
    is_final: bool = True
