"""Maps a run log of runnable or magnus, as `model_dump` or JSON, to a `Run`. Needs neither host.

Their formats are alike (`runnable.datastore.RunLog`, `magnus.datastore.RunLog`). magnus keeps metrics and code
identities on the step, runnable on its attempts; magnus can re-run a run under a new id. Tables `db_log` come from
magnus 0.4 and older, with a different run config.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from runlog_otel.core.model import (
    JOB_KIND,
    NO_FACTS,
    NO_PLAN,
    TERMINAL_KINDS,
    Attempt,
    Branch,
    CatalogItem,
    CodeIdentity,
    Facts,
    Node,
    Run,
    Scalar,
    Status,
    Step,
)
from runlog_otel.core.runlogs.execution_logs import LOG, log_of_attempt
from runlog_otel.core.runlogs.facts import FACTS, facts_from_text
from runlog_otel.core.runlogs.header import MARKS, header_from_config, marks_from_text, own_entry, text_of
from runlog_otel.core.runlogs.plans import plan_from_graph
from runlog_otel.core.runlogs.timestamps import (
    NOTE,
    AttemptNote,
    TimestampParser,
    attempt_note,
    note_from_text,
    times_of_attempt,
)
from runlog_otel.errors import RunLogFormatError

RUNNABLE, MAGNUS = "runnable", "magnus"
JOB_STEP = "job"
"""The one step of a job, which has no name in the log (`runnable.defaults.DEFAULT_JOB_NAME`)."""
_MAX_DEPTH = 50
"""The deepest nesting of graphs; the mapping is recursive."""
_INT64 = range(-(2**63), 2**63)
_code = lru_cache(16)(CodeIdentity)
"""The attempts of a run share theirs: 0.5 -> 0.1 us each."""
_STATUSES = {status.value: status for status in Status}
_MAPPINGS = (dict, Mapping)
"""For `isinstance`: of a `dict`, 0.02 us; with `Mapping` alone, 0.13."""
_UNCHAINED = "unchained"
"""magnus runs a single function or notebook without a graph (`magnus.defaults.EXECUTION_PLAN`): a job."""

_ARGO = "argo"
"""The executor that lets Argo Workflows run a failed pod again."""

Document = Mapping[str, Any]


class _OnStep(NamedTuple):
    """What a step's identities say of its attempts: notes and facts by index, code of all of them."""

    notes: Mapping[int, AttemptNote]
    facts: Mapping[int, Facts]
    code: list[CodeIdentity]


_NOTHING = _OnStep({}, {}, [])


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
        executor_name = text_of(executor.get("service_name") or executor.get("type"))
        host, status = host_of(log), _status(log)
        return Run(
            run_id=text_of(log["run_id"]),
            pipeline=pipeline or pipeline_from_config(config) or host,
            host=host,
            status=status,
            header=header,
            steps=steps,
            tag=text_of(log.get("tag")),
            dag_hash=text_of(log.get("dag_hash")),
            original_run_id=text_of(log.get("original_run_id")),
            use_cached=bool(log.get("use_cached")),
            definition=_definition(config),
            executor=executor_name,
            has_executor_retries=executor_name == _ARGO,
            graph=tuple(dict.fromkeys(_nodes(_graph(config)))),
            plan=NO_PLAN if status is Status.SUCCESS else plan_from_graph(_graph(config)),
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
    """The name that the user gave, else the module and function or the YAML file that defines it, else empty."""
    name = text_of(own_entry(config).get("pipeline") or _graph(config).get("name"))
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


def _nodes(dag: Document, depth: int = _MAX_DEPTH) -> Iterator[Node]:
    """The nodes of a graph and of the graphs inside it (`Graph` of `runnable.graph`, of `magnus.graph` by alias)."""
    for name, node in (dag.get("nodes") or dag.get("steps") or {}).items():
        kind = text_of(node.get("node_type") or node.get("type"))
        if kind not in TERMINAL_KINDS:
            yield Node(text_of(node.get("name") or name), kind)
        inner = node.get("branches")
        for graph in [node.get("branch"), *(inner.values() if isinstance(inner, Mapping) else ())]:
            if isinstance(graph, Mapping) and depth:
                yield from _nodes(graph, depth - 1)


def step_from_log(step: Document, clock: TimestampParser) -> Step:
    """Map a `StepLog`."""
    path, branches = text_of(step["internal_name"]), step.get("branches")
    return Step(
        name=text_of(step["name"]),
        path=path,
        kind=text_of(step.get("step_type")) or "task",
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
    path = text_of(branch["internal_name"])
    return Branch(
        name=path.removeprefix(f"{step_path}."),
        path=path,
        status=_status(branch),
        steps=tuple(step_from_log(step, clock) for step in branch["steps"].values()),
    )


def _attempts(step: Document, clock: TimestampParser) -> tuple[Attempt, ...]:
    """The attempts of a step; code identities on the step apply to all of them, its metrics to the last."""
    recorded = step.get("attempts") or ()
    notes, _, facts, code = _identities(step)
    if code and any(_identities(attempt)[-1] for attempt in recorded):
        code = []
    on_step = _NOTHING
    if notes or facts or code:
        on_step = _OnStep(dict(map(note_from_text, notes)), dict(map(facts_from_text, facts)), code)
    attempts = [_attempt(attempt, index, on_step, clock) for index, attempt in enumerate(recorded)]
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
    on_step: _OnStep,
    clock: TimestampParser,
) -> Attempt:
    notes, marks, facts, code = _identities(attempt)
    note = attempt_note(index, notes, on_step.notes)
    metrics = attempt.get("user_defined_metrics") or {}
    start_ns, end_ns = times_of_attempt(attempt, note, clock)
    input_parameters, input_values = _parameters(attempt.get("input_parameters") or attempt.get("parameters") or {})
    output_parameters, output_values = _parameters(attempt.get("output_parameters") or {})
    return Attempt(
        number=int(attempt.get("attempt_number", 1)),
        status=_status(attempt),
        start_ns=start_ns,
        end_ns=end_ns,
        message=text_of(attempt.get("message")),
        input_parameters=input_parameters,
        output_parameters=output_parameters,
        metrics=_metrics(metrics and {name: metric.get("value") for name, metric in metrics.items()}),
        code=tuple(code or on_step.code),
        retry_indicator=text_of(attempt.get("retry_indicator")),
        input_values=input_values,
        output_values=output_values,
        marks=marks_from_text(",".join(marks)) if marks else (),
        execution=note.execution,
        facts=facts_from_text(facts[0])[1] if facts else on_step.facts.get(index, NO_FACTS),
        log=log_of_attempt(attempt, note.start_offset_seconds),
    )


def _parameters(parameters: Document) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names and values: runnable wraps values with a kind, and has none of objects; magnus does not wrap them."""
    if not parameters:
        return (), {}
    names, values = tuple(sorted(parameters)), {}
    for name in names:
        value = parameters[name]
        if isinstance(value, _MAPPINGS) and "kind" in value:
            value = None if value["kind"] == "object" else value.get("value")
        if value is not None:
            values[str(name)] = value
    return names, values


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


def _identities(part: Document) -> tuple[list[str], list[str], list[str], list[CodeIdentity]]:
    """The code identities of a step or an attempt: texts of our notes, fingerprints and facts, and the host's own."""
    notes, marks, facts, code = [], [], [], []
    for identity in part.get("code_identities") or ():
        kind = identity.get("code_identifier_type")
        if NOTE in identity:
            notes.append(text_of(identity[NOTE]))
        if FACTS in identity:
            facts.append(text_of(identity[FACTS]))
        if kind == NOTE:
            notes.append(text_of(identity.get("code_identifier")))
        elif kind == FACTS:
            facts.append(text_of(identity.get("code_identifier")))
        elif kind == MARKS:
            marks.append(text_of(identity.get("code_identifier")))
        elif kind != LOG:
            url, is_dependable = identity.get("code_identifier_url"), identity.get("code_identifier_dependable")
            code.append(
                _code(text_of(kind), text_of(identity.get("code_identifier")), text_of(url), bool(is_dependable))
            )
    return notes, marks, facts, code


def _catalog_item(item: Document) -> CatalogItem:
    return CatalogItem(
        name=text_of(item["name"]),
        stage=text_of(item.get("stage")),
        data_hash=text_of(item.get("data_hash")),
        location=text_of(item.get("catalog_relative_path")),
    )


def _definition(config: Document) -> str:
    keys = ("pipeline_definition_file", "job_definition_file", "pipeline_file")
    return text_of(next((config[key] for key in keys if config.get(key)), ""))
