"""The progress of a run as a tree of bounded height, and as lines."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from runlog_otel.cli.durations import about_text, duration_text
from runlog_otel.cli.progress_text import MAX_BRANCHES, ProgressText, Row
from runlog_otel.core.expectation import Key
from runlog_otel.core.model import Plan, PlannedStep, Run, SecretFingerprint, Status, Step
from runlog_otel.core.progress import Progress, progress_of
from runlog_otel.core.redaction import fingerprint_of
from runlog_otel.core.trace import execution_of
from tests.core.logs import SECOND, at, attempt, branch, composite, run, task, verdict

RUNNING = Status.PROCESSING


def text(log: Run, now: float = 10, usual: Mapping[Key, int] | None = None) -> ProgressText:
    execution = execution_of(log, progress_of(log).execution)
    return ProgressText(execution, execution.redaction(), usual or {}, at(now))


def going(*steps: Step, planned: tuple[str, ...] = ()) -> Run:
    following = [*planned[1:], "success"] if planned else []
    plan = Plan(
        planned[0] if planned else "",
        {name: PlannedStep(name, next_) for name, next_ in zip(planned, following, strict=True)},
    )
    return replace(run(*steps, status=RUNNING), plan=plan)


def tree(log: Run, limit: int = 100, usual: Mapping[Key, int] | None = None) -> list[str]:
    """The rows as text, without columns that are empty."""
    rows, left_out = text(log, usual=usual).rows(progress_of(log), limit)
    lines = [_line(row) for row in rows]
    return [*lines, f"… {left_out}"] if left_out else lines


def _line(row: Row) -> str:
    return "  " * row.depth + " | ".join(part for part in (row.label, row.took, row.state.value, row.note) if part)


def mapped(done: int, running: int, failed: int, queued: int = 0) -> Step:
    """A map with so many branches in each state."""
    branches = [
        branch(f"m.d{n}", task(f"m.d{n}.t", attempt(1, 2)), verdict("success", 2, prefix=f"m.d{n}."))
        for n in range(done)
    ]
    branches += [branch(f"m.r{n}", task(f"m.r{n}.t", status=RUNNING), status=RUNNING) for n in range(running)]
    branches += [
        branch(
            f"m.f{n}",
            task(f"m.f{n}.t", attempt(1, 3, ok=False)),
            verdict("fail", 3, prefix=f"m.f{n}."),
            status=Status.FAIL,
        )
        for n in range(failed)
    ]
    branches += [branch(f"m.q{n}", status=RUNNING) for n in range(queued)]
    return composite("m", "map", *branches, status=RUNNING)


def test_a_tree_has_a_row_for_each_step() -> None:
    """With what it took, takes, and still takes; the open parts of a step stand below it."""
    log = going(task("load", attempt(0, 2)), mapped(1, 1, 1, 1), planned=("load", "m", "train"))
    usual: dict[Key, int] = {("m",): 20 * SECOND, ("m", ""): 4 * SECOND, ("train",): 60 * SECOND}
    assert tree(log, usual=usual) == [
        "load | 2.00s | success",
        "m | 8s | running | 1 of 4 done, 1 running, 1 queued, 1 failed; about 12s left",
        "  d0 | 1.00s | success",
        "  f0 | 2.00s | failure | t: no",
        "  r0 | running | t; usually 4s",
        "  q0 | queued | usually 4s",
        "train | queued | usually 1m00s",
    ]
    assert text(log, usual=usual).summary(progress_of(log), "") == "running 10s, about 1m12s left"


def test_ten_thousand_branches_are_counted() -> None:
    """Those that run and some that failed have rows; the rest are numbers."""
    log = going(mapped(9_950, 8, 42), planned=("m", "train"))
    lines = tree(log, limit=14)
    assert lines[0] == "m | 10s | running | 9,950 of 10,000 done, 8 running, 42 failed"
    kinds = [line.partition(" | ")[2] for line in lines[1:-1]]
    assert kinds == ["2.00s | failure | t: no"] * 7 + ["running | t"] * 6
    assert lines[-1] == "… 2 running, 1 queued, 35 failed"


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
def test_a_tree_is_no_higher_than_asked(limit: int) -> None:
    """Each row that is kept stands below all rows that it is in, and what was left out is counted."""
    log = going(task("load", attempt(0, 2)), mapped(3, 40, 40, 2), planned=("load", "m", "train", "ship"))
    rows, left_out = text(log).rows(progress_of(log), limit)
    assert len(rows) == min(limit, len(rows))
    depth = 0
    for row in rows:
        assert row.depth <= depth
        depth = row.depth + 1
    assert rows[0].label in ("load", "m")
    assert left_out


def test_what_runs_and_what_failed_share_the_room() -> None:
    """Neither hides the other."""
    rows, left_out = text(going(mapped(0, 400, 400))).rows(progress_of(going(mapped(0, 400, 400))), 11)
    states = [row.state.value for row in rows]
    assert (states.count("running"), states.count("failure")) == (5, 6)
    assert left_out == "396 running, 394 failed"


def test_time_left_is_said_to_be_unknown() -> None:
    """Not estimated from nothing; and a step that takes longer than usual has no negative time."""
    log = going(task("a", status=RUNNING), planned=("a",))
    assert text(log).summary(progress_of(log), "") == "running 10s, time left unknown"
    late: dict[Key, int] = {("a",): 3 * SECOND}
    assert text(log, usual=late).summary(progress_of(log), "") == "running 10s, longer than usual"
    assert tree(log, usual=late) == ["a | 10s | running | usually 3s"]


def lines(before: Run | None, after: Run, usual: Mapping[Key, int] | None = None) -> list[str]:
    changes = text(after, usual=usual).changes(progress_of(before) if before else None, progress_of(after))
    return [f"{(at_ns - at(0)) // SECOND} {line}" for at_ns, line, _ in changes]


def test_each_change_is_a_line() -> None:
    """At its own time, the inner part first; what did not change is not repeated, what is to come is not told."""
    first = going(task("a", status=RUNNING), planned=("a", "b", "c"))
    assert lines(None, first, {("a",): 5 * SECOND}) == ["0 a  running, usually 5s"]
    second = going(task("a", attempt(0, 4)), task("b", status=RUNNING), planned=("a", "b", "c"))
    assert lines(first, second) == ["4 a  success in 4.00s", "4 b  running"]
    assert lines(second, second) == []
    third = going(task("a", attempt(0, 4)), task("b", attempt(4, 5, ok=False), status=RUNNING), planned=("a", "b"))
    assert lines(second, third) == ["5 b  attempt 1 failed: no", "5 b  running"]
    fourth = going(task("a", attempt(0, 4)), task("b", attempt(4, 5, ok=False)), planned=("a", "b"))
    assert lines(third, fourth) == ["5 b  failure in 1.00s: no"]


def test_the_changes_of_many_branches_are_one_line() -> None:
    """But each failure has its own."""
    before, after = going(mapped(MAX_BRANCHES, 3, 0)), going(mapped(MAX_BRANCHES + 2, 0, 1))
    assert sorted(lines(before, after)) == [
        "10 m  12 of 13 done, 1 failed",
        "3 m.f0  failure in 2.00s",
        "3 m.f0.t  failure in 2.00s: no",
    ]


def test_a_new_execution_is_told_from_its_beginning() -> None:
    """What had succeeded before is not told again."""
    before = (task("a", attempt(0, 1)), task("b", attempt(1, 2, ok=False)), verdict("fail", 2))
    begun = run(before[0], replace(before[1], status=RUNNING), before[2], status=Status.FAIL)
    assert lines(run(*before, status=Status.FAIL), begun) == ["10 b  running"]
    assert text(begun).title() == "train, execution 2"


def test_text_from_a_log_is_masked_and_cut() -> None:
    """Names and messages, by the same rules as spans."""
    secret = "hunter2-hunter2"
    marks: tuple[SecretFingerprint, ...] = (fingerprint_of(secret, "calm-otter-0611"),)
    failed = replace(attempt(0, 1, ok=False), message=f"no {secret} password=abcdef {'x' * 5_000}", marks=marks)
    log = going(task(f"step {secret}", failed), task("n" * 5_000, status=RUNNING))
    execution = execution_of(log, 1)
    written = ProgressText(execution, execution.redaction(marks), {}, at(3))
    progress: Progress = progress_of(log)
    rows, _ = written.rows(progress, 10)
    shown = [row.label + row.note for row in rows] + [line for _, line, _ in written.changes(None, progress)]
    assert secret not in "".join(shown)
    assert "abcdef" not in "".join(shown)
    assert max(map(len, shown)) < 1_000


def test_durations_are_written_for_people() -> None:
    """As measured, or in whole seconds."""
    assert [duration_text(round(s * SECOND)) for s in (0.0072, 1.316, 127, 3727)] == [
        "7.2ms",
        "1.32s",
        "2m07s",
        "1h02m07s",
    ]
    assert [about_text(round(s * SECOND)) for s in (0.4, 12.4, 59.9, 3727)] == ["0s", "12s", "1m00s", "1h02m07s"]
