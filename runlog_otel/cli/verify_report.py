"""Says what `verify` found: run by run while it goes on, and in sum at the end."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runlog_otel.cli import output
from runlog_otel.cli.verifying import Result
from runlog_otel.core.counter_diff import CounterDifference
from runlog_otel.core.model import Value
from runlog_otel.core.redaction import bounded
from runlog_otel.core.span_diff import Difference, Kind
from runlog_otel.verification.verifier import ExecutionCheck, State

_MAX_LINES = 20
"""Differences of one execution in one backend; JSON has more."""
_MAX_IN_JSON = 1_000
_MAX_VALUE_BYTES = 200
_REASONS = {
    Kind.MISSING: "acknowledged, and not there: its retention or sampling drops it, or it needs a longer --wait",
    Kind.EXTRA: "a backend deletes no span before its retention ends",
    Kind.DIFFERENT: "a backend keeps the content that came first, or both: it is not sent again",
}
"""Why a difference cannot be healed."""


@dataclass(slots=True)
class Report:
    """What was found so far.

    `where` are the servers that are asked for traces. With `as_json` one document is printed at the end, with the runs
    that are not as they should be. With `is_healing` it says why what is left cannot be healed.
    """

    where: Sequence[str]
    as_json: bool = False
    is_healing: bool = False
    is_finished: bool = False
    """Whether all runs were compared that were asked for."""
    runs: int = 0
    spans: int = 0
    healed_spans: int = 0
    bad_runs: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    states: Counter[State] = field(default_factory=Counter)
    key: str = ""
    """Of the last run that was compared."""
    documents: list[dict[str, Any]] = field(default_factory=list)
    """Only for JSON, which is one document."""
    counters: list[CounterDifference] | None = None

    def add(self, result: Result) -> None:
        """Say what was found of a run."""
        check = result.check
        self.key = result.selected.key
        self.runs += 1
        is_good = check.is_good and not result.sending_problem
        self.bad_runs += not is_good
        for one in check.executions:
            self.states[one.state] += 1
            self.spans += 0 if one.state is State.NOT_SAMPLED else one.spans
            self.kinds.update(difference.kind for difference in one.faults)
        self.healed_spans += result.healed
        if not self.as_json:
            self._print(result)
        elif not is_good or result.healed or self._excused(result):
            self.documents.append(self._document(result))

    def add_counters(self, differences: list[CounterDifference]) -> None:
        """Say what was found of the counters."""
        self.counters = differences
        if not self.as_json:
            output.lines(*_cut([_counter_line(one) for one in differences]))

    def say_where_to_go_on(self) -> None:
        """Print the key of the last run that was compared, to standard error."""
        if self.key:
            output.note(f"to go on after the runs that were compared: --after {shlex.quote(self.key)}")

    def end(self) -> int:
        """Say what was found in sum; returns the exit status."""
        is_good = not self.bad_runs and not self.counters
        if self.as_json:
            output.document(self._summary() | {"is_good": is_good, "runs": self.documents})
            return 0 if is_good else 1
        output.lines(*self._sums())
        if not self.is_finished:
            self.say_where_to_go_on()
        return 0 if is_good else 1

    def _print(self, result: Result) -> None:
        check = result.check
        if check.problem:
            output.problem(f"{check.run_id}: {check.problem}")
        if result.sending_problem:
            output.problem(f"{check.run_id}: {result.sending_problem}")
        if result.healed:
            output.line(f"{check.run_id}: healed, {result.healed} missing spans were sent and are there now")
        for one in self._excused(result):
            missing = sum(difference.kind is Kind.MISSING for difference in one.differences)
            output.note(f"{_title(check.run_id, one)}: {one.state.value}; {missing} of {one.spans} spans are missing")
        for one in check.executions:
            if one.faults:
                output.lines(*self._lines(result, one))

    def _lines(self, result: Result, check: ExecutionCheck) -> Iterator[str]:
        faults = check.faults
        yield _title(result.check.run_id, check)
        missing = [fault for fault in faults if fault.kind is Kind.MISSING]
        if len(missing) == check.spans:
            yield f"  missing    the whole trace, {check.spans} spans"
            faults = [fault for fault in faults if fault.kind is not Kind.MISSING]
        yield from _cut([f"  {fault.kind.value:<9}  {_difference(fault)}" for fault in faults])
        if check.note:
            yield f"  it says    {check.note}"
        yield from (f"  not healed {kind}: {reason}" for kind, reason in self._reasons(result, check).items())

    def _reasons(self, result: Result, check: ExecutionCheck) -> dict[str, str]:
        """Why what is left cannot be healed, by the kind of difference."""
        kinds = {fault.kind for fault in check.faults} if self.is_healing else set()
        if result.sending_problem:  # it was not acknowledged
            kinds.discard(Kind.MISSING)
        return {kind.value: _REASONS[kind] for kind in Kind if kind in kinds}

    def _sums(self) -> Iterator[str]:
        if self.where:
            found = ", ".join(f"{self.kinds[kind]} {kind.value}" for kind in Kind)
            healed = f", {self.healed_spans} healed" if self.is_healing else ""
            yield f"{self.runs} runs, {self.spans} spans compared with {' and '.join(self.where)}: {found}{healed}"
            others = [state for state in State if state is not State.COMPLETE and self.states[state]]
            if others:
                yield f"executions: {', '.join(f'{self.states[state]} {state.value}' for state in others)}"
        if self.counters is not None:
            yield f"counters of {self.runs} runs: {len(self.counters)} not as the logs say"

    def _excused(self, result: Result) -> list[ExecutionCheck]:
        return [one for one in result.check.executions if one.state in (State.OPEN, State.UNSENT)]

    def _summary(self) -> dict[str, Any]:
        counters = None if self.counters is None else [_counter(one) for one in self.counters[:_MAX_IN_JSON]]
        return {
            "compared": {"backends": list(self.where), "runs": self.runs, "spans": self.spans},
            "found": {kind.value: self.kinds[kind] for kind in Kind},
            "executions": {state.name.lower(): self.states[state] for state in State},
            "healed_spans": self.healed_spans,
            "counters": counters,
            "after": self.key if not self.is_finished and self.key else None,
        }

    def _document(self, result: Result) -> dict[str, Any]:
        return {
            "run_id": result.check.run_id,
            "problem": result.check.problem or result.sending_problem,
            "healed_spans": result.healed,
            "executions": [
                {
                    "execution": one.number,
                    "trace_id": one.trace_id.hex(),
                    "backend": one.backend,
                    "state": one.state.name.lower(),
                    "spans": one.spans,
                    "note": one.note,
                    "differences": [_fault(difference) for difference in one.differences[:_MAX_IN_JSON]],
                    "not_listed": max(0, len(one.differences) - _MAX_IN_JSON),
                    "not_healed": self._reasons(result, one),
                }
                for one in result.check.executions
            ],
        }


def _title(run_id: str, check: ExecutionCheck) -> str:
    return f"{run_id}, execution {check.number} in {check.backend}, trace {check.trace_id.hex()}"


def _difference(found: Difference) -> str:
    span = f"{found.name} (span {found.span_id.hex()})"
    if found.kind is not Kind.DIFFERENT:
        return span
    if found.expected is None:
        return f"{span}: it has {found.field}, which the log has not"
    if found.actual is None:
        return f"{span}: it has no {found.field}, which is {_text(found.expected)} in the log"
    return f"{span}: {found.field} is {_text(found.actual)}, and {_text(found.expected)} in the log"


def _fault(found: Difference) -> dict[str, Any]:
    document = {"kind": found.kind.value, "span": found.name, "span_id": found.span_id.hex()}
    if found.kind is not Kind.DIFFERENT:
        return document
    return document | {"field": found.field, "in_log": found.expected, "in_backend": found.actual}


def _counter_line(found: CounterDifference) -> str:
    labels = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in found.labels)
    most = found.at_least if found.at_most is None else found.at_most
    if found.is_missing or most == found.at_least:
        by_log = f"{found.at_least:.15g}" + (" or more" if found.at_most is None else "")
    else:
        by_log = f"{found.at_least:.15g} to {most:.15g}"
    return f"counter {found.sample}{{{labels}}} is {found.actual:.15g}, and {by_log} by the logs"


def _counter(found: CounterDifference) -> dict[str, Any]:
    return {
        "sample": found.sample,
        "labels": dict(found.labels),
        "by_logs_at_least": found.at_least,
        "by_logs_at_most": found.at_most,
        "actual": found.actual,
    }


def _cut(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MAX_LINES]
    if len(lines) > _MAX_LINES:
        yield f"  … and {len(lines) - _MAX_LINES} more: --json lists them"


def _text(value: Value) -> str:
    return bounded(json.dumps(value, ensure_ascii=False), _MAX_VALUE_BYTES)
