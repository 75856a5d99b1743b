"""A failure is counted in the runs that had it, and a step is flaky only if nothing changed."""

from dataclasses import replace
from typing import Any

import pytest

from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.first_cause import first_cause
from runlog_otel.core.model import CodeIdentity, Header, Run, Status
from runlog_otel.core.sightings import Flakiness, flakiness_of, sightings_of
from tests.core.logs import at, attempt, task, verdict
from tests.core.test_first_cause import records_of_run

CLEAN = CodeIdentity("git", "a" * 40, is_dependable=True)
DIRTY = CLEAN._replace(is_dependable=False)


def executed(
    run_id: str,
    *results: bool,
    start: float = 0,
    code: CodeIdentity | None = CLEAN,
    pipeline: str = "shop",
    message: str = "exit status 3\ndisk full",
    **inputs: Any,
) -> ExecutionRecord:
    """A run of one step whose attempts had these results."""
    attempts = tuple(
        replace(
            attempt(start + n, start + n + 1, ok=is_ok, number=n + 1),
            code=(code,) if code else (),
            message="" if is_ok else message,
            input_values=inputs,
        )
        for n, is_ok in enumerate(results)
    )
    kind, end = ("success" if results[-1] else "fail"), start + len(results)
    steps = (task("copy", *attempts), verdict(kind, end))
    status = Status.SUCCESS if results[-1] else Status.FAIL
    (record,) = records_of_run(Run(run_id, pipeline, "runnable", status, Header(created_ns=at(start)), steps))
    return record


def cause_of(record: ExecutionRecord) -> Fingerprint:
    cause = first_cause(record)
    assert cause is not None
    return cause.fingerprint


def test_a_failure_is_counted_once_for_each_run() -> None:
    """First and last time, the runs that were read, and the pipelines."""
    record = executed("r5", False, start=500)
    others = [
        executed("r1", False, start=100),
        executed("r2", True, start=200),
        executed("r3", False, True, start=300),
        executed("r4", False, start=400, message="exit status 4"),
        executed("other", False, start=50, pipeline="billing"),
    ]
    seen = sightings_of(cause_of(record), record, others)
    assert (seen.runs, seen.of_runs, seen.is_new) == (4, 6, False)
    assert (seen.first_run_id, seen.first_ns) == ("other", at(51))
    assert (seen.before_run_id, seen.before_ns) == ("r3", at(301))
    assert dict(seen.pipelines) == {"shop": 3, "billing": 1}


def test_a_failure_that_nobody_saw_before_is_new() -> None:
    """Later runs that had it are counted, and do not make it old."""
    record = executed("r2", False, start=200)
    seen = sightings_of(cause_of(record), record, [executed("r1", True, start=100), executed("r3", False, start=300)])
    assert (seen.is_new, seen.runs, seen.first_run_id) == (True, 2, "r2")


def test_a_step_that_succeeds_on_a_retry_is_flaky() -> None:
    """Whatever the code is."""
    flakiness = flakiness_of("copy", [executed("r1", False, True, code=None), executed("r2", True, code=None)])
    assert flakiness == Flakiness(True, 2, 0, 1, 0, 0)


def test_a_step_that_fails_and_succeeds_without_a_change_is_flaky() -> None:
    """The same clean commit, graph and parameters."""
    flakiness = flakiness_of("copy", [executed("r1", True), executed("r2", False), executed("r3", True)])
    assert flakiness == Flakiness(True, 3, 1, 0, 1, 2)


@pytest.mark.parametrize(
    "failed",
    [
        executed("r2", False, code=CodeIdentity("git", "b" * 40, is_dependable=True), rows=1),
        executed("r2", False, code=DIRTY, rows=1),
        executed("r2", False, code=None, rows=1),
        executed("r2", False, rows=2),
        executed("r2", False),
    ],
    ids=["another commit", "changes in the work tree", "an unknown commit", "another parameter", "no parameter"],
)
def test_a_change_explains_a_failure(failed: ExecutionRecord) -> None:
    """It is no flakiness."""
    flakiness = flakiness_of("copy", [executed("r1", True, rows=1), failed])
    assert flakiness == Flakiness(False, 2, 1, 0, 0, 0)
