"""What tools say of several executions: a pipeline's history, and runs side by side. Pure: records are sanitised."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from runlog_otel.core.baselines import Baseline, baseline_of
from runlog_otel.core.comparison import differences_between
from runlog_otel.core.diagnosis import document_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.first_cause import fingerprints
from runlog_otel.core.headline import failure_text
from runlog_otel.core.sightings import flakiness_of
from runlog_otel.core.trace import Trace
from runlog_otel.mcp_server.run_view import RUNNING, metrics_of, summary


def history(records: Sequence[ExecutionRecord]) -> dict[str, Any]:
    """A pipeline over its last executions.

    Args:
        records: at least one, in any order.
    """
    newest_first = sorted(records, key=lambda record: (record.start_ns, record.run_id, record.execution), reverse=True)
    ended = [record for record in records if record.is_complete]
    succeeded = [record for record in ended if record.has_succeeded]
    return {
        "pipeline": newest_first[0].pipeline,
        "executions": len(records),
        "results": dict(Counter(record.result if record.is_complete else RUNNING for record in newest_first)),
        "success_rate": round(len(succeeded) / len(ended), 3) if ended else None,
        "durations_of_successes": durations(baseline_of(record.duration_ns for record in succeeded)),
        "failures": _failures(records),
        "steps": _steps(records),
        "runs": [_line(record) for record in newest_first],
    }


def side_by_side(executions: Sequence[tuple[ExecutionRecord, Trace]]) -> dict[str, Any]:
    """Executions compared: each with the one before it in the sequence, and steps and metrics in columns.

    Args:
        executions: at least two.
    """
    records = [record for record, _ in executions]
    differences = [
        {"before_run_id": before.run_id, "after_run_id": after.run_id, **document_of(each)}
        for before, after in pairwise(records)
        for each in differences_between(before, after)
    ]
    keys = dict.fromkeys(key for record in records for key in record.steps)
    steps = [_columns(records, key) for key in keys]
    steps.sort(key=lambda step: -abs(step.get("change_ns", 0)))
    return {
        "runs": [summary(record) for record in records],
        "differences": differences,
        "metrics": _metrics([trace for _, trace in executions]),
        "steps": steps,
    }


def durations(baseline: Baseline | None) -> dict[str, Any] | None:
    """A baseline of durations, in nanoseconds."""
    if baseline is None:
        return None
    return {"samples": baseline.samples, "median_ns": baseline.median, "p95_ns": baseline.p95}


def _line(record: ExecutionRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "execution": record.execution,
        "result": record.result if record.is_complete else RUNNING,
        "start_ns": record.start_ns,
        "duration_ns": record.duration_ns,
    }


def _steps(records: Sequence[ExecutionRecord]) -> list[dict[str, Any]]:
    """The slowest first."""
    lines = []
    for key in dict.fromkeys(key for record in records for key in record.steps):
        passed = [record.steps[key] for record in records if key in record.steps and record.steps[key].has_passed]
        usual = baseline_of(step.duration_ns for step in passed)
        flakiness = flakiness_of(key, records)
        line = {
            "place": key,
            "runs": flakiness.runs,
            "failed": flakiness.failed,
            "passed_on_retry": flakiness.passed_on_retry,
            "is_flaky": flakiness.is_flaky,
            "durations_of_successes": durations(usual),
        }
        lines.append((-usual.median if usual else 0.0, key, line))
    return [line for *_, line in sorted(lines, key=lambda each: each[:2])]


def _failures(records: Iterable[ExecutionRecord]) -> list[dict[str, Any]]:
    """By their fingerprint, the last seen first; those that an execution survived as well."""
    seen: dict[Fingerprint, list[tuple[int, ExecutionRecord]]] = defaultdict(list)
    for record in records:
        for fingerprint, at_ns in fingerprints(record).items():
            seen[fingerprint].append((at_ns, record))
    lines = []
    for fingerprint, times in seen.items():
        (first_ns, first), (last_ns, last) = (pick(times, key=lambda time: time[0]) for pick in (min, max))
        line = {
            "fingerprint": document_of(fingerprint),
            "message": _message(last, fingerprint),
            "runs": len({record.run_id for _, record in times}),
            "first_ns": first_ns,
            "first_run_id": first.run_id,
            "last_ns": last_ns,
            "last_run_id": last.run_id,
        }
        lines.append((-last_ns, fingerprint, line))
    return [line for *_, line in sorted(lines, key=lambda each: each[:2])]


def _message(record: ExecutionRecord, fingerprint: Fingerprint) -> str:
    for part in record.parts:
        if part.evidence is not None and part.evidence.fingerprint == fingerprint:
            return failure_text(part.error_type, part.evidence.message)
    return record.description


def _columns(records: Sequence[ExecutionRecord], key: str) -> dict[str, Any]:
    steps = [record.steps.get(key) for record in records]
    first, last = steps[0], steps[-1]
    return {
        "place": key,
        "kind": next(step.kind for step in steps if step),
        **({"change_ns": last.duration_ns - first.duration_ns} if first and last else {}),
        "durations": [{"duration_ns": step.duration_ns, "result": step.result} if step else None for step in steps],
    }


def _metrics(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    measured = [{(path, name): value for path, name, value in metrics_of(trace)} for trace in traces]
    names = dict.fromkeys(name for values in measured for name in values)
    return [
        {"path": path, "name": name, "values": [values.get((path, name)) for values in measured]}
        for path, name in names
    ]
