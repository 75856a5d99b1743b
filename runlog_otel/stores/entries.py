"""Converts documents to entries and back: pure, and independent of what keeps the entries.

A run log document is a nest: run, steps, branches, parameters. Each of them is an entry of its own, with its
part of the document verbatim, so that any of them is written and read without the others.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_jsonable_python

from runlog_otel.core.model import TERMINAL_KINDS, Status
from runlog_otel.core.redaction import bounded
from runlog_otel.core.runlogs.header import header_from_config
from runlog_otel.core.runlogs.timestamps import TimestampParser, times_of_attempts
from runlog_otel.errors import RunLogFormatError

Document = dict[str, Any]

RUN_PARTS: Mapping[str, Any] = {"steps": {}, "parameters": {}, "run_config": {}, "job": None}
BRANCH_PARTS: Mapping[str, Any] = {"steps": {}, "parameters": {}}
STEP_PARTS: Mapping[str, Any] = {"branches": {}}

OF_RUN = b"r"
"""What the identities of the run's own config, parameters and job begin with."""
PARAMETERS_OF_RUN = OF_RUN + b"p"
CONFIG_OF_RUN = OF_RUN + b"c"

_MAX_FAILURE_BYTES = 4096
_OBJECTS = ("step", "branch", "job")
"""The kinds of entries whose values are JSON objects."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a step, branch, parameter, config value or job of a run.

    `key` is the name that the host looks it up by; `parent` the branch or step that it belongs to (None: the
    run); `text` its document as JSON. Times are nanoseconds since the epoch.
    """

    kind: str
    key: str
    text: str
    parent: str | None = None
    status: str | None = None
    step_type: str | None = None
    started_ns: int | None = None
    ended_ns: int | None = None
    failure: str | None = None

    @property
    def identity(self) -> bytes:
        """What is unique in a run."""
        return identity(self.kind, self.key, self.parent)

    @property
    def is_work(self) -> bool:
        """Whether it is a step that does something."""
        return self.kind == "step" and not self.is_verdict

    @property
    def is_verdict(self) -> bool:
        """Whether it is a terminal step: the verdict of its graph, which begins nothing."""
        return self.step_type in TERMINAL_KINDS


def identity(kind: str, key: str, parent: str | None = None) -> bytes:
    """Kind, scope and key as one value to look up by.

    Keys are hashed, because a map's values may be of any length. What is read together stands together: the
    run's own entries begin with OF_RUN, a branch's parameters with the identity of the branch.
    """
    match kind:
        case "step":
            return b"s" + _hash(key)
        case "branch":
            return b"b" + _hash(key)
        case "parameter" if parent:
            return identity("branch", parent) + _hash(key)
        case _:
            return OF_RUN + kind[0].encode() + _hash(key)


def text_from_value(value: Any) -> str:
    """JSON in ASCII: what a database's text cannot hold (NUL, lone surrogates) is escaped. NaN stays NaN."""
    return json.dumps(value, separators=(",", ":"), default=to_jsonable_python)


def header_from_document(document: Mapping[str, Any]) -> Document:
    """The run's own part of its document."""
    return {**document, **{name: empty for name, empty in RUN_PARTS.items() if name in document}}


def clock_of(document: Mapping[str, Any], zone: tzinfo | None = None) -> TimestampParser:
    """How the naive times of a run's document are read; without its header in a zone, else in the machine's."""
    return TimestampParser(header_from_config(document.get("run_config") or {}), zone)


def entries_from_document(document: Mapping[str, Any], zone: tzinfo | None = None) -> Iterator[Entry]:
    """Everything of a run's document but its own part, parents first; for the zone see `clock_of`."""
    clock = clock_of(document, zone)
    yield from entries_from_config(document.get("run_config") or {})
    yield from entries_from_parameters(document.get("parameters") or {})
    if document.get("job"):
        yield entry_from_job(document["job"], clock)
    for step in (document.get("steps") or {}).values():
        yield from entries_from_step(step, None, clock)


def entries_from_step(
    step: Mapping[str, Any], parent: str | None, clock: TimestampParser | None = None
) -> Iterator[Entry]:
    """A step of the branch `parent`, and what its document holds of branches."""
    key = str(step["internal_name"])
    started_ns, ended_ns = times_of(step, clock)
    yield Entry(
        "step",
        key,
        text_from_value({**step, **{name: empty for name, empty in STEP_PARTS.items() if name in step}}),
        parent,
        status_of(step),
        step.get("step_type"),
        started_ns,
        ended_ns,
        failure_of(step),
    )
    for branch in (step.get("branches") or {}).values():
        yield from entries_from_branch(branch, key, clock)


def entries_from_branch(
    branch: Mapping[str, Any], parent: str, clock: TimestampParser | None = None
) -> Iterator[Entry]:
    """A branch of the step `parent`, and what its document holds of parameters and steps."""
    key = str(branch["internal_name"])
    own = {**branch, **{name: empty for name, empty in BRANCH_PARTS.items() if name in branch}}
    yield Entry("branch", key, text_from_value(own), parent, status_of(branch))
    yield from entries_from_parameters(branch.get("parameters") or {}, key)
    for step in (branch.get("steps") or {}).values():
        yield from entries_from_step(step, key, clock)


def entries_from_parameters(parameters: Mapping[str, Any], branch: str = "") -> Iterator[Entry]:
    """The parameters of a branch, or of the run."""
    for name, value in parameters.items():
        yield Entry("parameter", name, text_from_value(value), branch or None)


def entries_from_config(config: Mapping[str, Any]) -> Iterator[Entry]:
    """One entry per top-level key, so that merging writes only the given keys."""
    for name, value in config.items():
        yield Entry("config", str(name), text_from_value(value))


def entry_from_job(job: Mapping[str, Any], clock: TimestampParser | None = None) -> Entry:
    """A run that is a job has this instead of steps."""
    started_ns, ended_ns = times_of(job, clock)
    return Entry("job", "", text_from_value(job), None, status_of(job), None, started_ns, ended_ns, failure_of(job))


def value_of(entry: Entry, run_id: str) -> Any:
    """The document of an entry.

    Raises:
        RunLogFormatError: it is no JSON, or, of a step, branch or job, no JSON object.
    """
    where = f"run {run_id!r}: {entry.kind} {entry.key!r}"
    try:
        value = json.loads(entry.text)
    except (ValueError, RecursionError) as error:
        raise RunLogFormatError(where, f"it is no JSON: {error}") from error
    if entry.kind in _OBJECTS and not isinstance(value, dict):
        raise RunLogFormatError(where, "it is no JSON object")
    return value


def document_from_entries(header: Mapping[str, Any], entries: Iterable[Entry]) -> Document:
    """The run's document; entries in the order in which they were first written, parents before children.

    Raises:
        RunLogFormatError: an entry is damaged, or what it belongs to is not there.
    """
    entries = list(entries)
    run_id = str(header.get("run_id"))
    document: Document = {**header, **{name: {} for name, empty in RUN_PARTS.items() if name in header and empty == {}}}
    steps: dict[str, Document] = {}
    branches: dict[str, Document] = {}
    for entry, value in zip(entries, _values(entries, run_id), strict=True):
        parents = steps if entry.kind == "branch" else branches
        scope = document if entry.parent is None else parents.get(entry.parent)
        if scope is None:
            where = f"run {run_id!r}: {entry.kind} {entry.key!r}"
            raise RunLogFormatError(where, f"{entry.parent!r}, which it belongs to, is not there")
        match entry.kind:
            case "config":
                document.setdefault("run_config", {})[entry.key] = value
            case "job":
                document["job"] = value
            case "parameter":
                scope.setdefault("parameters", {})[entry.key] = value
            case "branch":
                branches[entry.key] = value
                scope.setdefault("branches", {})[entry.key] = value
            case "step":
                steps[entry.key] = value
                scope.setdefault("steps", {})[entry.key] = value
    return document


def _values(entries: Sequence[Entry], run_id: str) -> list[Any]:
    # One parse of all texts is several times faster than one each, but does not tell which one is damaged.
    # pydantic's parser takes 0.12 instead of 0.16 s of CPU for 17 MB; it refuses lone surrogates, which json reads.
    try:
        values: list[Any] = from_json(f"[{','.join(entry.text for entry in entries)}]")
    except (ValueError, TypeError):
        values = []
    is_whole = len(values) == len(entries) and all(
        isinstance(value, dict) for entry, value in zip(entries, values, strict=True) if entry.kind in _OBJECTS
    )
    return values if is_whole else [value_of(entry, run_id) for entry in entries]


def document_from_parts(header: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> tuple[Document, list[str]]:
    """The run's document, of steps and branches that are kept apart from it and may hold others.

    Args:
        header: the run's own document; `parts` win over what it holds of them.
        parts: the documents of steps and branches, in their order.

    Returns:
        The document, and the keys of those parts whose branch or step is missing: they are left out.

    Raises:
        RunLogFormatError: a part is no step and no branch.
    """
    try:
        return _joined(header, parts)
    except (AttributeError, KeyError, TypeError) as error:
        problem = f"a part of it has no {error}" if isinstance(error, KeyError) else str(error)
        raise RunLogFormatError(f"the log of {header.get('run_id')!r}", problem) from error


def _joined(header: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> tuple[Document, list[str]]:
    graph: Document = {"": {**header, "steps": {}}}
    steps: dict[str, Document] = {}
    _take_apart(header, graph, steps)
    for part in parts:
        key = str(part["internal_name"])
        if "name" in part:  # only steps have one
            _take_apart({"steps": {key: part}}, graph, steps)
        else:
            graph[key] = {**part, "steps": {}}
            _take_apart(part, graph, steps)
    lost = []
    for key, branch in graph.items():
        owner = next((name for name in parents_of_branch(key) if name in steps), None)
        if owner is not None:
            steps[owner]["branches"][key] = branch
        elif key:
            lost.append(key)
    for key, step in steps.items():
        if (branch := graph.get(branch_of_step(key) or "")) is not None:
            branch["steps"][key] = step
        else:
            lost.append(key)
    return graph[""], lost


def _take_apart(branch: Mapping[str, Any], branches: Document, steps: dict[str, Document]) -> None:
    """Note the steps and branches inside of a branch, at every depth, each without what is inside of it."""
    for key, step in (branch.get("steps") or {}).items():
        steps[key] = {**step, "branches": {}}
        for name, inner in (step.get("branches") or {}).items():
            branches[name] = {**inner, "steps": {}}
            _take_apart(inner, branches, steps)


def parents_of_branch(branch: str) -> list[str]:
    """The steps that a branch may belong to, the likeliest first.

    Internal names go step.branch.step; the branches of a map are named by its values, which may hold dots.
    """
    parts = branch.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def branch_of_step(step: str) -> str | None:
    """The branch that a step belongs to; names of steps hold no dots (`runnable.nodes.BaseNode`, magnus alike)."""
    branch, _, _ = step.rpartition(".")
    return branch or None


def status_of(part: Mapping[str, Any]) -> str | None:
    """The status of a run or a part of it, as it is searched for: older logs have it in lower case."""
    status = part.get("status")
    return None if status is None else str(status).upper()


def times_of(step: Mapping[str, Any], clock: TimestampParser | None = None) -> tuple[int | None, int | None]:
    """First start and last end of the attempts.

    Without a clock times are read by the attempts' notes, else in the machine's zone: of what this process recorded.
    """
    times = times_of_attempts(step, clock or TimestampParser())
    starts = [start for start, _ in times if start is not None]
    ends = [end for _, end in times if end is not None]
    return min(starts, default=None), max(ends, default=None)


def failure_of(step: Mapping[str, Any]) -> str | None:
    """What was said of failures of the step, bounded; None when it did not fail, "" when nothing was said."""
    if status_of(step) != Status.FAIL.value:
        return None
    failed = [attempt for attempt in step.get("attempts") or () if status_of(attempt) == Status.FAIL.value]
    messages = [str(step.get("message") or ""), *(str(attempt.get("message") or "") for attempt in failed)]
    return bounded("\n".join(message for message in messages if message), _MAX_FAILURE_BYTES)


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
