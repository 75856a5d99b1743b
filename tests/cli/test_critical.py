"""`runlog-otel runs --critical`."""

import json
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import GOLDEN


@pytest.fixture
def again(project: Path) -> None:
    """The demo's pipeline ran twice more: once with a slow step, once it is still running."""
    text = (GOLDEN / "demo.log.json").read_text()
    for run_id in ("slow", "going"):
        log = json.loads(text) | {"run_id": run_id}
        if run_id == "slow":
            (attempt,) = log["steps"]["publish to mirror"]["attempts"]
            attempt["end_time"] = attempt["end_time"].replace(":38:", ":39:")
            log["steps"]["success"]["attempts"][0] |= dict.fromkeys(("start_time", "end_time"), attempt["end_time"])
        else:
            log["status"] = "PROCESSING"
            del log["steps"]["success"]
        (project / ".run_log_store" / f"{run_id}.json").write_text(json.dumps(log))


def test_the_step_that_shortens_a_pipeline_most_is_the_first(command: Command, again: None) -> None:
    """With how often it set the length, what it took and waited, and its share; runs in progress do not count."""
    shown = command("runs", "--critical", "pipeline.main")
    assert (shown.status, shown.err) == (0, "")
    rows = [line.rstrip() for line in shown.out.splitlines()]
    assert rows[0].split("  ")[0] == "step"
    assert [row.split("  ")[0] for row in rows[1:-1]] == [
        "publish to mirror",
        "clean regions.*.clean",
        "train.fit.fit",
        "publish",
        "load orders",
        "train.compare.compare",
        "(waiting)",
    ]
    assert rows[1].split()[3:] == ["2", "of", "2", "30.11s", "11.2ms", "1m00s", "96.2%"]
    assert rows[-1] == "2 executions in 2 runs of pipeline.main, 31.31s each on average"


def test_the_shares_and_the_waiting_are_the_whole(command: Command, again: None) -> None:
    """For machines, in nanoseconds."""
    told = json.loads(command("runs", "--critical", "pipeline.main", "--json").out)
    assert (told["pipeline"], told["runs"], told["executions"], told["not_read"]) == ("pipeline.main", 2, 2, [])
    assert sum(step["own_ns"] for step in told["steps"]) + told["wait_ns"] == told["duration_ns"]
    publish = told["steps"][0]
    assert publish == {
        "step": "publish to mirror",
        "executions": 2,
        "own_ns": 2 * publish["mean_own_ns"],
        "wait_ns": 2 * publish["mean_wait_ns"],
        "mean_own_ns": publish["own_ns"] // 2,
        "mean_wait_ns": publish["wait_ns"] // 2,
        "share": publish["own_ns"] / told["duration_ns"],
    }


def test_the_last_runs_count(command: Command, again: None) -> None:
    """As many as are asked for, of those that the other options select."""
    told = json.loads(command("runs", "--critical", "retried.main", "--limit", "1", "--json").out)
    assert (told["runs"], told["executions"]) == (1, 2)
    assert command("runs", "--critical", "retried.main", "--status", "fail").out == (
        "no run of retried.main that is listed has ended\n"
    )


@pytest.mark.parametrize("option", [("--compare",), ("--pipeline", "x")])
def test_one_question_at_a_time(command: Command, option: tuple[str, ...]) -> None:
    """It is told in one line."""
    done = command("runs", "--critical", "pipeline.main", *option)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("error: --critical: names the pipeline")


def test_a_secret_in_a_step_s_path_is_masked(command: Command, project: Path) -> None:
    """An iteration's value is left out, a branch's name is redacted."""
    text = (GOLDEN / "demo.log.json").read_text().replace("train.fit", "train.password=hunter2")
    (project / ".run_log_store" / "cruel-nobel-0638.json").write_text(text)
    for arguments in ((), ("--json",)):
        shown = command("runs", "--critical", "pipeline.main", *arguments)
        assert (shown.status, "hunter2" in shown.out, "north" in shown.out) == (0, False, False)
