"""What the counters must read, counted from the JSON of run logs by other means than the code under test."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

Log = Mapping[str, Any]
Counts = Counter[tuple[str, tuple[tuple[str, str], ...]]]
VERDICTS = ("success", "fail")
FACTS = "runlog_otel.facts"
_MEASURED = {
    "runlog.attempt.cpu.time": "runlog_attempt_cpu_time_seconds_count",
    "runlog.attempt.memory.peak": "runlog_attempt_memory_peak_bytes_count",
    "runlog.attempt.io.read": "runlog_attempt_io_read_bytes_count",
    "runlog.attempt.io.write": "runlog_attempt_io_write_bytes_count",
}


def counts_of(logs: Iterable[Log], pipeline: str) -> Counts:
    """Name and labels of each counter (and `_count` of each histogram) → what it must read."""
    counts: Counts = Counter()

    def add(name: str, value: int = 1, **labels: str) -> None:
        known = {"cicd_pipeline_name": pipeline, **labels}
        counts[name, tuple(sorted((key, label) for key, label in known.items() if label))] += value

    for log in logs:
        for execution in executions(log):
            _count_execution(log, execution, add)
    return counts


def seconds_of_attempts(logs: Iterable[Log]) -> float:
    """What all attempts took together."""
    return sum(
        (_time(attempt["end_time"]) - _time(attempt["start_time"])).total_seconds()
        for log in logs
        for step in steps_of(log["steps"])
        if step["step_type"] not in VERDICTS
        for attempt in step["attempts"]
    )


def executions(log: Log) -> list[tuple[str, datetime]]:
    """The verdicts of the root graph with their moments: each ends an execution."""
    return sorted(
        ((step["step_type"], _time(attempt["start_time"])) for step in log["steps"].values()
         if step["step_type"] in VERDICTS for attempt in step["attempts"]),
        key=lambda verdict: verdict[1],
    )  # fmt: skip


def steps_of(steps: Mapping[str, Any]) -> Iterator[Any]:
    """Steps at every depth."""
    for step in steps.values():
        yield step
        for branch in step["branches"].values():
            yield from steps_of(branch["steps"])


class _Execution:
    """One execution of a run: what was attempted until its verdict, and after the one before."""

    def __init__(self, log: Log, verdict: tuple[str, datetime]) -> None:
        self.log = log
        self.has_succeeded = verdict[0] == "success"
        self._until = verdict[1]
        self._since = max([moment for _, moment in executions(log) if moment < self._until], default=None)

    def attempts(self, step: Any) -> list[Any]:
        moments = [(_time(attempt["start_time"]), attempt) for attempt in step["attempts"]]
        return [a for at, a in moments if at <= self._until and (self._since is None or at > self._since)]

    def statuses(self, step: Any) -> list[str]:
        """The last status of each attempted step in it."""
        own = [self.attempts(step)[-1]["status"]] if self.attempts(step) else []
        inner = [s for b in step["branches"].values() for s in b["steps"].values() if s["step_type"] not in VERDICTS]
        return own + [status for s in inner for status in self.statuses(s)]

    def verdict(self, branch: Any) -> str:
        """The terminal step that a branch reached, if it did."""
        return "".join(
            s["step_type"] for s in branch["steps"].values() if s["step_type"] in VERDICTS and self.attempts(s)
        )


def _count_execution(log: Log, verdict: tuple[str, datetime], add: Any) -> None:
    execution = _Execution(log, verdict)
    add(
        "cicd_pipeline_run_duration_seconds_count",
        cicd_pipeline_run_state="executing",
        cicd_pipeline_result="success" if execution.has_succeeded else "failure",
        error_type="" if execution.has_succeeded else "step_failed",
    )
    for step in steps_of(log["steps"]):
        if step["step_type"] not in VERDICTS and execution.statuses(step):
            _count_step(execution, step, add)


def _count_step(execution: _Execution, step: Any, add: Any) -> None:
    ended = _ended(execution.statuses(step))
    labels = {"cicd_pipeline_task_name": step["name"]}
    of_step = labels | {"runlog_step_type": step["step_type"], "cicd_pipeline_task_run_result": ended}
    add("runlog_step_results_total", **of_step)
    add("runlog_step_duration_seconds_count", **of_step)
    add("runlog_step_queue_time_seconds_count", **labels)
    attempts = execution.attempts(step)
    if len(attempts) > 1:
        add("runlog_step_retries_total", len(attempts) - 1, **labels)
    if attempts and ended == "success":
        add("runlog_step_passed_on_attempt_total", runlog_attempt_number=str(len(attempts)), **labels)
    for attempt in attempts:
        result = _ended([attempt["status"]])
        add("runlog_attempt_duration_seconds_count", **labels, runlog_attempt_result=result)
        for name in _MEASURED.keys() & _facts(attempt).keys():
            add(_MEASURED[name], **labels)
        if result == "failure":
            add("cicd_pipeline_run_errors_total")
    for branch in step["branches"].values():
        if verdict := execution.verdict(branch):
            result = "success" if verdict == "success" else "failure"
            add("runlog_branch_duration_seconds_count", **labels, runlog_branch_result=result)
    if ended == "success":
        for item in {json.dumps(item, sort_keys=True) for item in step["data_catalog"]}:
            add("runlog_catalog_items_total", **labels, runlog_catalog_stage=json.loads(item)["stage"])


def _facts(attempt: Any) -> Mapping[str, Any]:
    """What the attempt used, and where, as it is noted in its code identities."""
    notes = [code.get(FACTS) for code in attempt["code_identities"] if FACTS in code]
    notes += [code["code_identifier"] for code in attempt["code_identities"] if code["code_identifier_type"] == FACTS]
    return json.loads(notes[0])["attributes"] if notes else {}


def _ended(statuses: list[str]) -> str:
    return "failure" if "FAIL" in statuses else "success"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
