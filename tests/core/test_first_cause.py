"""The first cause of recorded failures is told apart from what followed, in whatever order the log is."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from runlog_otel.core.comparison import comparison_of
from runlog_otel.core.diagnosis import Diagnosis, diagnosis_of, document_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.first_cause import consequences, first_cause, survived
from runlog_otel.core.model import Ending, Header, Node, Run, Status
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.redaction import MASK, RedactionPolicy, fingerprint_of
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.spans import spans_from_run
from tests.core.failures.expected import CAUSES, NOTHING, Expected
from tests.core.logs import at, attempt, branch, composite, runs, task, verdict

FOLDER = Path(__file__).parent / "failures"
LOGS: Mapping[str, Any] = {
    path.name.removesuffix(".log.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.log.json"))
}
CANARY = "canary-4711-of-a-secret"


def records(log: Any) -> list[ExecutionRecord]:
    """Those of a log's executions, mapped as spans are."""
    return records_of_run(run_from_log(log, zone=timezone.utc))


def records_of_run(run: Run, policy: RedactionPolicy | None = None) -> list[ExecutionRecord]:
    return records_of(run, spans_from_run(run, policy=policy, is_abandoned=True))


def diagnoses(log: Any) -> Iterator[Diagnosis]:
    """The diagnosis of each execution, against those before it."""
    own = records(log)
    for at_, record in enumerate(own):
        yield diagnosis_of(record, own[:at_])


def told(record: ExecutionRecord) -> Expected:
    """What is said of an execution."""
    cause = first_cause(record)
    harmless = tuple((each.path, each.by) for each in survived(record))
    if cause is None:
        return NOTHING._replace(survived=harmless)
    followed = tuple((each.how, each.path) for each in consequences(record, cause))
    return Expected(cause.kind, cause.path, cause.error_type, cause.fingerprint.place, followed, harmless)


@pytest.mark.parametrize("name", LOGS)
def test_the_first_cause_of_a_recorded_failure_is_right(name: str) -> None:
    """Its kind, step, type and place, what followed from it, and what was survived."""
    own = {(name, record.execution): told(record) for record in records(LOGS[name])}
    assert own == {key: expected for key, expected in CAUSES.items() if key[0] == name}


def test_every_kind_of_failure_is_recorded() -> None:
    """At least twenty runs; each has an expectation, and none of these is without its run."""
    assert len(LOGS) >= 20
    assert {name for name, _ in CAUSES} == set(LOGS)


def shuffled(value: Any, generator: random.Random) -> Any:
    """A log with the steps and branches of every graph in another order."""
    if isinstance(value, list):
        return [shuffled(part, generator) for part in value]
    if not isinstance(value, dict):
        return value
    parts = {key: shuffled(part, generator) for key, part in value.items()}
    for key in ("steps", "branches"):
        if isinstance(parts.get(key), dict):
            names = list(parts[key])
            generator.shuffle(names)
            parts[key] = {name: parts[key][name] for name in names}
    return parts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", LOGS)
def test_the_order_of_the_log_does_not_change_the_answer(name: str, seed: int) -> None:
    """Stores list steps in the order of files, of rows, or of a dict."""
    other = shuffled(LOGS[name], random.Random(seed))
    assert [document_of(each) for each in diagnoses(other)] == [document_of(each) for each in diagnoses(LOGS[name])]


def with_canary(value: Any, key: str = "") -> Any:
    """A log with a password in its tag, and in every message and value of a parameter."""
    if isinstance(value, dict):
        return {name: with_canary(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [with_canary(part, key) for part in value]
    if key == "message" and isinstance(value, str) and value:
        head, separator, rest = value.partition("\n")
        return f"{head} password={CANARY}{separator}{rest}\npostgresql://somebody:{CANARY}@db/runs"
    return f"token={CANARY}" if key in ("value", "tag") else value


@pytest.mark.parametrize("name", LOGS)
def test_no_secret_of_a_log_is_in_an_answer(name: str) -> None:
    """Messages and tracebacks are redacted, and parameters are not shown."""
    log = with_canary(LOGS[name])
    answers = json.dumps([document_of(each) for each in diagnoses(log)])
    assert CANARY in json.dumps(log)
    assert CANARY not in answers


@pytest.mark.parametrize("name", LOGS)
def test_an_answer_is_plain_json_of_a_bounded_size(name: str) -> None:
    """It reads back equal, and no list or text is long."""
    for diagnosis in diagnoses(LOGS[name]):
        document = document_of(diagnosis)
        text = json.dumps(document, allow_nan=False)
        assert json.loads(text) == document
        assert len(text) < 20_000
        assert diagnosis.headline == document["headline"]
        assert "\n" not in diagnosis.headline


def run(*steps: Any, status: Status = Status.FAIL, **more: Any) -> Run:
    return Run("r", "shop", "runnable", status, Header(created_ns=at(0)), steps, **more)


def only(own: Run) -> ExecutionRecord:
    """The record of a run that was executed once."""
    (record,) = records_of_run(own)
    return record


def test_a_retried_step_is_survived() -> None:
    """Within an execution the last attempt decides."""
    record = only(
        run(
            task("publish", attempt(1, 2, ok=False), attempt(2, 3, number=2)),
            verdict("success", 4),
            status=Status.SUCCESS,
        )
    )
    assert first_cause(record) is None
    assert [(each.path, each.attempt, each.by) for each in survived(record)] == [("publish", 1, "step")]


def test_a_step_that_failed_at_every_attempt_failed_with_the_first() -> None:
    """Another step that failed for good meanwhile is not the cause, though its only attempt ended before the last."""
    slow = branch("both.a", task("both.a.a", *(attempt(n, n + 1, ok=False, number=n) for n in (1, 2, 3))))
    quick = branch("both.b", task("both.b.b", attempt(1, 2.5, ok=False)))
    record = only(run(composite("both", "parallel", slow, quick), verdict("fail", 5)))
    cause = first_cause(record)
    assert cause is not None
    assert (cause.path, cause.attempts, cause.at_ns) == ("both.a.a", 3, at(2))


def test_a_failure_in_a_branch_that_recovered_is_survived_by_the_branch() -> None:
    """The failure of the other branch is the cause, though it came later."""
    recovered = branch(
        "both.a",
        task("both.a.a", attempt(1, 2, ok=False)),
        task("both.a.mend", attempt(2, 3)),
        verdict("success", 3, prefix="both.a."),
    )
    failed = branch("both.b", task("both.b.b", attempt(1, 4, ok=False)), verdict("fail", 4, prefix="both.b."))
    record = only(run(composite("both", "parallel", recovered, failed), verdict("fail", 5)))
    cause = first_cause(record)
    assert cause is not None
    assert cause.path == "both.b.b"
    assert [(each.path, each.by) for each in survived(record)] == [("both.a.a", "branch")]


def test_a_graph_that_reached_fail_by_itself_says_so() -> None:
    """Nothing in it failed: a condition led there."""
    cause = first_cause(only(run(task("toss", attempt(1, 2)), verdict("fail", 3))))
    assert cause is not None
    assert (cause.kind, cause.path) == ("verdict", "")


def test_a_step_that_was_cut_follows_the_failure_beside_it() -> None:
    """The branch beside the one that failed was in progress when the run was broken off."""
    failed = branch("both.a", task("both.a.a", attempt(1, 2, ok=False)))
    cut = branch("both.b", task("both.b.b"), status=Status.PROCESSING)
    ending = Ending(1, "cancellation", at(3), open_steps=("both", "both.b.b"))
    own = run(composite("both", "parallel", failed, cut, status=Status.PROCESSING), status=Status.PROCESSING)
    record = only(replace(own, header=replace(own.header, endings=(ending,))))
    cause = first_cause(record)
    assert cause is not None
    assert cause.path == "both.a.a"
    assert ("cut", "both.b.b") in [(each.how, each.path) for each in consequences(record, cause)]


def test_a_run_in_progress_has_the_cause_that_it_has_so_far() -> None:
    """It still runs, and a step failed already."""
    failed = branch("both.a", task("both.a.a", attempt(1, 2, ok=False)), verdict("fail", 2, prefix="both.a."))
    going_on = branch("both.b", task("both.b.b"), status=Status.PROCESSING)
    parallel = composite("both", "parallel", failed, going_on, status=Status.PROCESSING)
    diagnosis = diagnosis_of(only(run(parallel, status=Status.PROCESSING)), [], now_ns=at(60))
    assert (diagnosis.state, diagnosis.timing.duration_ns) == ("running", at(60) - at(0))
    assert diagnosis.headline.startswith("still running; a failed: no")


def test_steps_of_the_last_success_are_expected_to_run() -> None:
    """What a success ran, and the failed run did not, never ran; the definition is asked only without a success."""
    success = only(
        replace(
            run(task("load", attempt(1, 2)), task("report", attempt(2, 3)), verdict("success", 3)),
            run_id="s",
            status=Status.SUCCESS,
        )
    )
    failed = only(run(task("load", attempt(1, 2, ok=False)), verdict("fail", 3)))
    diagnosis = diagnosis_of(failed, [replace(success, start_ns=success.start_ns - 1)])
    assert [(part.how, part.path) for part in diagnosis.aftermath.parts] == [("not_run", "report")]


@given(runs(), runs())
def test_every_log_has_an_answer(own: Run, other: Run) -> None:
    """Whatever is in it: JSON that reads back equal, in which a failure has a cause and a success has none."""
    past = records_of_run(other)
    for record in records_of_run(own):
        diagnosis = diagnosis_of(record, past, past)
        document = document_of(diagnosis)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert (diagnosis.cause is not None) == (diagnosis.state == "failed") or diagnosis.state == "running"
        comparison = document_of(comparison_of(record, (past or [record])[0]))
        assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison


def test_an_execution_that_was_killed_and_retried_never_ended() -> None:
    """Nothing failed in it: its process was gone."""
    own = run(
        task("load", replace(attempt(1, 2), execution=1)),
        task("train", replace(attempt(11, 12), execution=2)),
        verdict("success", 13),
        status=Status.SUCCESS,
    )
    first, second = records_of_run(replace(own, header=replace(own.header, retries=((2, at(10)),))))
    cause = first_cause(first)
    assert cause is not None
    assert (cause.kind, cause.error_type) == ("abandoned", "abandoned")
    assert diagnosis_of(first, []).headline == (
        "the run never ended: its process was probably killed; no other run is known"
    )
    assert first_cause(second) is None


def test_a_retry_that_failed_alike_says_so() -> None:
    """The execution before had the same failure."""
    first, second = records(LOGS["two-executions"])
    assert diagnosis_of(first, []).headline.endswith("; no other run is known")
    diagnosis = diagnosis_of(second, [first])
    assert diagnosis.headline.endswith("; the same in 2 executions of this run")
    (earlier,) = diagnosis.earlier
    assert (earlier.execution, earlier.result) == (1, "failure")
    assert earlier.why == "work on it failed: RuntimeError: it is broken"


def test_a_marked_secret_is_masked_everywhere() -> None:
    """A secret of the host is known by its fingerprint in the log only, wherever it stands."""
    tried = replace(
        attempt(1, 2, ok=False),
        message=f"ValueError: {CANARY}\n\nTraceback (most recent call last):\n"
        f'  File "/app/{CANARY}.py", line 1, in {CANARY.replace("-", "_")}\nValueError: {CANARY}',
        marks=(fingerprint_of(CANARY, "r"),),
        input_values={CANARY: CANARY},
    )
    policy = RedactionPolicy(parameters=("*",))
    own = run(task("load", tried), verdict("fail", 3), tag=CANARY, graph=(Node(CANARY, "task"),))
    (record,) = records_of_run(own, policy)
    other = records_of_run(run(task("load", attempt(1, 2)), verdict("success", 3), status=Status.SUCCESS), policy)
    answers = json.dumps(
        [document_of(diagnosis_of(record, other)), document_of(comparison_of(other[0], record)), repr(record)]
    )
    assert MASK in answers
    assert CANARY not in answers
