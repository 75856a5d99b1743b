"""Maps a run log of runnable or magnus, as `model_dump` or JSON, to a `Run`. Needs neither host.

Their formats are alike (`runnable.datastore.RunLog`, `magnus.datastore.RunLog`). magnus keeps metrics and code
identities on the step, runnable on its attempts; magnus can re-run a run under a new id. Tables `db_log` come from
magnus 0.4 and older, with a different run config.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any

from runlog_otel.core.model import (
    JOB_KIND,
    TERMINAL_KINDS,
    Attempt,
    Branch,
    CatalogItem,
    Changes,
    CodeIdentity,
    Header,
    Node,
    Run,
    Scalar,
    SecretFingerprint,
    Status,
    Step,
)
from runlog_otel.core.runlogs.execution_logs import LOG, log_of_attempt
from runlog_otel.core.runlogs.timestamps import (
    MAX_EXECUTIONS,
    NOTE,
    AttemptNote,
    TimestampParser,
    attempt_note,
    nanoseconds,
    note_from_identity,
    times_of_attempt,
)
from runlog_otel.core.semconv import HEADER_KEY
from runlog_otel.errors import RunLogFormatError

RUNNABLE, MAGNUS = "runnable", "magnus"
JOB_STEP = "job"
"""The one step of a job, which has no name in the log (`runnable.defaults.DEFAULT_JOB_NAME`)."""
MARKS = "runlog_otel.marks"
"""The type of the code identity that holds an attempt's fingerprints of secrets."""
_MAX_DEPTH = 50
"""The deepest nesting of graphs; the mapping is recursive."""
_INT64 = range(-(2**63), 2**63)
_code = lru_cache(16)(CodeIdentity)
"""The attempts of a run share theirs: 0.5 -> 0.1 us each."""
_STATUSES = {status.value: status for status in Status}
_MAPPINGS = (dict, Mapping)
"""For `isinstance`: of a `dict`, 0.02 us; with `Mapping` alone, 0.13."""
_MARK = re.compile(r"(?P<size>[1-9]\d{0,8}):(?P<digest>[^:]+)(?::(?P<outline>[0-3]{0,8}))?", re.ASCII)
_UNCHAINED = "unchained"
"""magnus runs a single function or notebook without a graph (`magnus.defaults.EXECUTION_PLAN`): a job."""

_ARGO = "argo"
"""The executor that lets Argo Workflows run a failed pod again."""

Document = Mapping[str, Any]


def run_from_log(log: Document, pipeline: str = "", zone: tzinfo | None = None) -> Run:
    """Map a run log.

    Args:
        log: the document.
        pipeline: the pipeline's name; else what the log says.
        zone: the zone of naive times if the log has no header of ours; by default the machine's.

    Raises:
        RunLogFormatError: the document is not a run log.
    """
    try:
        config: Document = log.get("run_config") or {}
        header = header_from_config(config)
        clock = TimestampParser(header, zone)
        steps = tuple(step_from_log(step, clock) for step in log["steps"].values())
        if log.get("job"):
            steps = (*steps, step_from_job(log["job"], clock))
        elif config.get("execution_plan") == _UNCHAINED:
            steps = tuple(replace(step, kind=JOB_KIND) for step in steps)
        _refuse_depth(steps)
        executor = config.get("pipeline_executor") or config.get("job_executor") or config.get("executor") or {}
        executor_name = _text(executor.get("service_name") or executor.get("type"))
        host = host_of(log)
        return Run(
            run_id=_text(log["run_id"]),
            pipeline=pipeline or pipeline_from_config(config) or host,
            host=host,
            status=_status(log),
            header=header,
            steps=steps,
            tag=_text(log.get("tag")),
            dag_hash=_text(log.get("dag_hash")),
            original_run_id=_text(log.get("original_run_id")),
            use_cached=bool(log.get("use_cached")),
            definition=_definition(config),
            executor=executor_name,
            has_executor_retries=executor_name == _ARGO,
            graph=tuple(dict.fromkeys(_nodes(_graph(config)))),
        )
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        name = log.get("run_id") if isinstance(log, Mapping) else None
        problem = f"no {error}" if isinstance(error, KeyError) else str(error)
        if isinstance(error, RecursionError):
            problem = "it is nested too deeply"
        raise RunLogFormatError(f"the log of {name!r}" if isinstance(name, str) else "the document", problem) from error


def _refuse_depth(steps: tuple[Step, ...]) -> None:
    for _ in range(_MAX_DEPTH):
        if not steps:
            return
        steps = tuple(inner for step in steps for branch in step.branches for inner in branch.steps)
    if steps:
        raise ValueError(f"more than {_MAX_DEPTH} graphs stand inside of each other")


def host_of(log: Document) -> str:
    """Which host wrote a log: only magnus's logs have the key `original_run_id`."""
    return MAGNUS if "original_run_id" in log else RUNNABLE


def pipeline_from_config(config: Document) -> str:
    """The graph's name, else the module and function or the YAML file that defines it, else empty."""
    name = _text(_graph(config).get("name"))
    if name:
        return name
    definition = _definition(config)
    if definition.endswith((".yaml", ".yml")):
        definition = definition.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    return definition


def _graph(config: Document) -> Document:
    """The definition of the pipeline; magnus before 0.5 has it under a different key."""
    graph: Document = config.get("dag") or config.get("pipeline") or {}
    return graph


def header_from_config(config: Document) -> Header:
    """The header that the wrapper wrote into the run config; an empty one if it is missing or not ours."""
    own = config.get(HEADER_KEY)
    try:
        created = datetime.fromisoformat(own["created"])  # type: ignore[index]
        offset = created.utcoffset()
        if offset is None:
            return Header()
        return Header(
            created_ns=nanoseconds(created),
            utc_offset_seconds=int(offset.total_seconds()),
            traceparent=_text(own.get("traceparent")),  # type: ignore[union-attr]
            retries=tuple(_retries(own.get("retries", ()))),  # type: ignore[union-attr]
            marks=_marks(",".join(own.get("marks", ()))),  # type: ignore[union-attr]
            changes=tuple(_changes(entry) for entry in own.get("changes", ())),  # type: ignore[union-attr]
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return Header()


def config_from_header(created: datetime, traceparent: str, marks: Iterable[SecretFingerprint] = ()) -> dict[str, Any]:
    """The run config's entry for a header; `created` is an aware time."""
    header: dict[str, Any] = {"created": created.isoformat(), "traceparent": traceparent}
    return {HEADER_KEY: header | ({"marks": texts} if (texts := list(map(_mark_text, marks))) else {})}


def code_from_marks(marks: Iterable[SecretFingerprint]) -> dict[str, Any]:
    """Fingerprints as a `CodeIdentity` of an attempt: the one part of it that the host leaves open to additions."""
    return {
        "code_identifier_type": MARKS,
        "code_identifier": ",".join(map(_mark_text, marks)),
        "code_identifier_dependable": True,
        "code_identifier_message": "the value of a secret stands in this part of the log; it is masked in what is sent",
    }


def changed_config(config: Document, changes: Changes) -> dict[str, Any]:
    """The run config's entry with the changes before a failed execution; {} if it has them, or has no header."""
    own = config.get(HEADER_KEY)
    if not isinstance(own, Mapping) or any(entry["execution"] == changes.execution for entry in own.get("changes", ())):
        return {}
    return {HEADER_KEY: {**own, "changes": [*own.get("changes", ()), asdict(changes)]}}


def retried_config(config: Document, execution: int, started: datetime) -> dict[str, Any]:
    """The run config's entry with one more retry; {} for a log without our header."""
    own = config.get(HEADER_KEY)
    if not isinstance(own, Mapping):
        return {}
    retry = {"execution": execution, "started": started.isoformat()}
    return {HEADER_KEY: {**own, "retries": [*own.get("retries", ()), retry]}}


def _retries(entries: Iterable[Document]) -> Iterator[tuple[int, int]]:
    for entry in entries:
        if 0 < (execution := int(entry["execution"])) <= MAX_EXECUTIONS:
            yield execution, nanoseconds(datetime.fromisoformat(entry["started"]))


def _changes(entry: Document) -> Changes:
    return Changes(
        execution=int(entry["execution"]),
        since=_text(entry["since"]),
        revision_before=_text(entry["revision_before"]),
        revision=_text(entry["revision"]),
        parameters=tuple(map(_text, entry["parameters"])),
        files=tuple(map(_text, entry["files"])),
    )


def _mark_text(mark: SecretFingerprint) -> str:
    return f"{mark.characters}:{mark.digest}:{mark.outline}"


def _marks(text: str) -> tuple[SecretFingerprint, ...]:
    """Fingerprints from their text; other parts are ignored."""
    marks = (_MARK.fullmatch(part) for part in text.split(","))
    return tuple(SecretFingerprint(int(mark["size"]), mark["digest"], mark["outline"] or "") for mark in marks if mark)


def _nodes(dag: Document, depth: int = _MAX_DEPTH) -> Iterator[Node]:
    """The nodes of a graph and of the graphs inside it (`Graph` of `runnable.graph`, of `magnus.graph` by alias)."""
    for name, node in (dag.get("nodes") or dag.get("steps") or {}).items():
        kind = _text(node.get("node_type") or node.get("type"))
        if kind not in TERMINAL_KINDS:
            yield Node(_text(node.get("name") or name), kind)
        inner = node.get("branches")
        for graph in [node.get("branch"), *(inner.values() if isinstance(inner, Mapping) else ())]:
            if isinstance(graph, Mapping) and depth:
                yield from _nodes(graph, depth - 1)


def step_from_log(step: Document, clock: TimestampParser) -> Step:
    """Map a `StepLog`."""
    path, branches = _text(step["internal_name"]), step.get("branches")
    return Step(
        name=_text(step["name"]),
        path=path,
        kind=_text(step.get("step_type")) or "task",
        status=_status(step),
        is_mock=bool(step.get("mock")),
        attempts=_attempts(step, clock),
        branches=tuple([_branch(branch, path, clock) for branch in branches.values()]) if branches else (),
        catalog=tuple(map(_catalog_item, step.get("data_catalog") or ())),
    )


def step_from_job(job: Document, clock: TimestampParser) -> Step:
    """Map a `JobLog` of runnable: a job is a run with one step."""
    return step_from_log({**job, "name": JOB_STEP, "internal_name": JOB_STEP, "step_type": JOB_KIND}, clock)


def _branch(branch: Document, step_path: str, clock: TimestampParser) -> Branch:
    path = _text(branch["internal_name"])
    return Branch(
        name=path.removeprefix(f"{step_path}."),
        path=path,
        status=_status(branch),
        steps=tuple(step_from_log(step, clock) for step in branch["steps"].values()),
    )


def _attempts(step: Document, clock: TimestampParser) -> tuple[Attempt, ...]:
    """The attempts of a step; code identities on the step apply to all of them, its metrics to the last."""
    recorded = step.get("attempts") or ()
    step_notes, _, code = _identities(step)
    if code and any(_identities(attempt)[2] for attempt in recorded):
        code = []
    on_step = dict(map(note_from_identity, step_notes)) if step_notes else {}
    attempts = [_attempt(attempt, index, on_step, code, clock) for index, attempt in enumerate(recorded)]
    metrics = _metrics(step.get("user_defined_metrics") or {})
    if metrics and attempts and not attempts[-1].metrics:
        attempts[-1] = replace(attempts[-1], metrics=metrics)
    return tuple(_numbered(attempts) if len(attempts) > 1 else attempts)


def _numbered(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """Attempts, with `repeat` set for equal numbers: of a job that a pod runs again, of equal values of a map."""
    counts: Counter[tuple[int, int | None, str]] = Counter()
    for attempt in attempts:
        counts[key := (attempt.number, attempt.execution, attempt.retry_indicator)] += 1
        yield attempt if counts[key] == 1 else replace(attempt, repeat=counts[key])


def _attempt(
    attempt: Document,
    index: int,
    notes_on_step: Mapping[int, AttemptNote],
    code_on_step: list[CodeIdentity],
    clock: TimestampParser,
) -> Attempt:
    notes, marks, code = _identities(attempt)
    note = attempt_note(index, notes, notes_on_step)
    metrics = attempt.get("user_defined_metrics") or {}
    start_ns, end_ns = times_of_attempt(attempt, note, clock)
    input_parameters, input_values = _parameters(attempt.get("input_parameters") or attempt.get("parameters") or {})
    output_parameters, output_values = _parameters(attempt.get("output_parameters") or {})
    return Attempt(
        number=int(attempt.get("attempt_number", 1)),
        status=_status(attempt),
        start_ns=start_ns,
        end_ns=end_ns,
        message=_text(attempt.get("message")),
        input_parameters=input_parameters,
        output_parameters=output_parameters,
        metrics=_metrics(metrics and {name: metric.get("value") for name, metric in metrics.items()}),
        code=tuple(code or code_on_step),
        retry_indicator=_text(attempt.get("retry_indicator")),
        input_values=input_values,
        output_values=output_values,
        marks=_marks(",".join(marks)) if marks else (),
        execution=note.execution,
        log=log_of_attempt(attempt, note.start_offset_seconds),
    )


def _parameters(parameters: Document) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names and values: runnable wraps values with a kind, and has none of objects; magnus does not wrap them."""
    if not parameters:
        return (), {}
    names, values = [], {}
    for name, logged in sorted(parameters.items()):
        names.append(name)
        value = logged
        if isinstance(logged, _MAPPINGS) and "kind" in logged:
            value = None if logged["kind"] == "object" else logged.get("value")
        if value is not None:
            values[str(name)] = value
    return tuple(names), values


def _metrics(metrics: Document) -> dict[str, Scalar]:
    """User metrics by name: scalars unchanged, names of nested ones joined by dots."""
    if not metrics:
        return {}
    scalars: dict[str, Scalar] = {}
    waiting = [(str(name), value) for name, value in metrics.items()]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{name}.{key}", part) for key, part in value.items()]
        elif isinstance(value, bool | float) or (isinstance(value, int) and value in _INT64):
            scalars[name] = value
        elif value is not None:
            scalars[name] = str(value)
    return dict(sorted(scalars.items()))


def _status(part: Document) -> Status:
    """Older versions of magnus and other writers of its format use lower-case statuses."""
    text = str(part["status"])
    return _STATUSES.get(text) or Status(text.upper())  # `Status()` takes 0.3 us more


def _identities(part: Document) -> tuple[list[Document], list[str], list[CodeIdentity]]:
    """The code identities of a step or an attempt: our notes, the texts of our fingerprints, the host's own."""
    notes, marks, code = [], [], []
    for identity in part.get("code_identities") or ():
        kind = identity.get("code_identifier_type")
        if kind == NOTE:
            notes.append(identity)
        elif kind == MARKS:
            marks.append(_text(identity.get("code_identifier")))
        elif kind != LOG:
            url, is_dependable = _text(identity.get("code_identifier_url")), identity.get("code_identifier_dependable")
            code.append(_code(_text(kind), _text(identity.get("code_identifier")), url, bool(is_dependable)))
    return notes, marks, code


def _catalog_item(item: Document) -> CatalogItem:
    return CatalogItem(
        name=_text(item["name"]),
        stage=_text(item.get("stage")),
        data_hash=_text(item.get("data_hash")),
        location=_text(item.get("catalog_relative_path")),
    )


def _definition(config: Document) -> str:
    keys = ("pipeline_definition_file", "job_definition_file", "pipeline_file")
    return _text(next((config[key] for key in keys if config.get(key)), ""))


def _text(value: object) -> str:
    return "" if value is None else str(value)
