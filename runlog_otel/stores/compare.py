"""Runs side by side: status, revision, durations of steps, user metrics. Pure: documents in, tables out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runlog_otel.core.model import TERMINAL_KINDS, Changes
from runlog_otel.stores.entries import Document, clock_of, times_of


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One column: a run, what code it ran, how long each step took, and what it measured."""

    run_id: str
    status: str
    revision: str
    """The git commit of the first attempt that has one, with `+` when the tree was not clean; else empty."""
    durations_seconds: Mapping[str, float]
    metrics: Mapping[str, Any]


def compared(document: Document) -> ComparedRun:
    """What of a run's document is compared.

    Durations are of steps at all depths, from the first start to the last end of their attempts. Metrics are
    those of the attempts (nested ones by dot paths) and the run's metric parameters; the last one of a name counts.
    """
    durations: dict[str, float] = {}
    metrics: dict[str, Any] = {}
    revision, clock = "", clock_of(document)
    for name, step in _work(document):
        started_ns, ended_ns = times_of(step, clock)
        if started_ns is not None and ended_ns is not None:
            durations[name] = max(0, ended_ns - started_ns) / 1e9
        for attempt in step.get("attempts") or ():
            # magnus has metrics and code on the step, runnable on the attempt.
            for owner in (step, attempt):
                metrics.update(_flat(owner.get("user_defined_metrics") or {}))
                revision = revision or _revision(owner.get("code_identities") or ())
    parameters = document.get("parameters") or {}
    metrics.update(_flat({name: value for name, value in parameters.items() if _is_metric(value)}))
    return ComparedRun(document["run_id"], document["status"], revision, durations, metrics)


def changes(before: Document, after: Document, execution: int) -> Changes:
    """What differs between a failed run and a successful one, as far as both have it.

    Args:
        before: the run that succeeded.
        after: the one that failed.
        execution: which of its executions failed.
    """
    old, new = compared(before).revision, compared(after).revision
    has_other_code = bool(old and new and old != new)
    return Changes(
        execution=execution,
        since=str(before["run_id"]),
        revision_before=old if has_other_code else "",
        revision=new if has_other_code else "",
        parameters=_differing(_parameters(before), _parameters(after)),
        files=_differing(_hashes(before), _hashes(after)),
    )


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name]))


def _parameters(document: Document) -> dict[str, Any]:
    """Values of parameters; the text that stands for an object says nothing of it."""
    parameters = document.get("parameters") or {}
    return {name: parameter.get("value") for name, parameter in parameters.items() if parameter.get("kind") != "object"}


def _hashes(document: Document) -> dict[str, str]:
    """The last hash of each catalog item that has one."""
    items = (item for _, step in _work(document) for item in step.get("data_catalog") or ())
    return {item["name"]: item["data_hash"] for item in items if item.get("data_hash")}


def names_of(columns: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every name of all columns, in the order in which they first appear."""
    return list(dict.fromkeys(name for column in columns for name in column))


def _work(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if document.get("job"):
        yield "job", document["job"]
    for name, step in (document.get("steps") or {}).items():
        if step.get("step_type") in TERMINAL_KINDS:
            continue
        yield name, step
        for branch in (step.get("branches") or {}).values():
            yield from _work(branch)


def _revision(identities: Iterable[Mapping[str, Any]]) -> str:
    for identity in identities:
        if identity.get("code_identifier_type") == "git" and identity.get("code_identifier"):
            return str(identity["code_identifier"]) + ("" if identity.get("code_identifier_dependable") else "+")
    return ""


def _is_metric(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("kind") == "metric"


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        # runnable wraps what was measured into a kind and a value, magnus does not.
        measured = value.get("value") if _is_metric(value) else value
        if isinstance(measured, Mapping):
            yield from _flat(measured, f"{path}{name}.")
        else:
            yield f"{path}{name}", measured
