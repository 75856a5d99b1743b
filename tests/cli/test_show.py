"""`runlog-otel show` and `trace-id`."""

import json
from pathlib import Path

import pytest

from runlog_otel.core import identity
from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS


def test_show_draws_a_waterfall(command: Command) -> None:
    """A line for each step and branch, with what failed in it, and the trace id."""
    shown = command("show", RUNS["demo"])
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0] == "cruel-nobel-0638  pipeline.main  1.32s  success"
    assert [line.strip().split("  ")[0] for line in lines[1:6]] == [
        "RUN pipeline.main",
        "load orders",
        "clean regions",
        "north",
        "clean",
    ]
    assert any("Call to the function pipeline.publish" in line for line in lines)
    assert lines[-1] == f"trace {identity.trace_id('', RUNS['demo'], 1).hex()}"


def test_show_tells_who_started_a_run(command: Command, project: Path) -> None:
    """And what was checked out, below the waterfall."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    log["run_config"]["runlog_otel"]["facts"] = {
        "runlog.trigger.type": "ci",
        "runlog.trigger.name": "GitLab CI",
        "runlog.trigger.url.full": "https://gitlab.example.org/jobs/1",
        "vcs.repository.name": "tools",
        "vcs.ref.type": "tag",
        "vcs.ref.head.name": "v1",
    }
    (project / ".run_log_store" / "started.json").write_text(json.dumps(log))
    lines = [line.rstrip() for line in command("show", "started").out.splitlines()]
    assert "started by: ci, GitLab CI, https://gitlab.example.org/jobs/1" in lines
    assert [line for line in lines if line.startswith("checked out: tools, tag, v1")] != []


def test_show_draws_every_execution(command: Command) -> None:
    """A retried run is two traces."""
    lines = command("show", RUNS["retried"]).out.splitlines()
    assert [line for line in lines if line.startswith("trace ")] == [
        f"trace {identity.trace_id('', RUNS['retried'], execution).hex()}" for execution in (1, 2)
    ]


def test_show_marks_the_critical_path(command: Command) -> None:
    """The steps of which it is made, and a line says what the mark means."""
    lines = command("show", RUNS["retried"]).out.splitlines()
    assert [line.split()[0] for line in lines if " * " in line] == ["prepare", "train", "train", "notify"]
    legend = "* critical path, what set the run's length: 2 steps"
    assert [line.rstrip() for line in lines if line.startswith("*")] == [
        f"{legend} 80.5ms, waiting 45.2ms",
        f"{legend} 7.0ms, waiting 37.4ms",
    ]


@pytest.mark.parametrize("name", RUNS)
def test_show_json_is_nothing_but_json(command: Command, name: str) -> None:
    """The host's greeting is not in it."""
    shown = command("show", RUNS[name], "--json")
    assert json.loads(shown.out) == json.loads((GOLDEN / f"{name}.spans.json").read_text())


def test_show_reads_a_file(command: Command) -> None:
    """A run log that somebody sent."""
    assert command("show", str(GOLDEN / "job.log.json")).out == command("show", RUNS["job"]).out


def test_a_run_in_progress_is_shown_as_running(command: Command, project: Path) -> None:
    """Nothing is called an error before the run has ended."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    log["status"] = "PROCESSING"
    del log["steps"]["success"]
    (project / ".run_log_store" / "going.json").write_text(json.dumps(log))
    shown = command("show", "going")
    assert "running" in shown.out.splitlines()[0]
    assert "error" not in shown.out
    assert "* critical path, what set the run's length so far: 8 steps 1.18s, waiting 125.2ms" in shown.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("show", "nope"), "error: run 'nope' is not in file-system store .run_log_store;"),
        (("show", "nope", "--config", "none.yaml"), "error: none.yaml: there is no such file"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(command: Command, arguments: tuple[str, ...], expected: str) -> None:
    """And the exit status is 2."""
    called = command(*arguments)
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert called.err.startswith(expected)


def test_a_trace_id_needs_no_log(command: Command) -> None:
    """It is computed, for runs too that are yet to come."""
    assert command("trace-id", "later", "--execution", "2").out == f"{identity.trace_id('', 'later', 2).hex()}\n"


def test_show_prints_the_last_frames_of_a_failed_attempt(command: Command, project: Path) -> None:
    """Type and message below the step, the end of the traceback below the waterfall."""
    frames = "".join(f'  File "p.py", line {line}, in f\n    call({line})\n' for line in range(9))
    error = "p.MirrorError: no [b]mirror[/b]"
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    message = f"{error}\n\nTraceback (most recent call last):\n{frames}{error}"
    log["steps"]["publish"]["attempts"][0]["message"] = message
    (project / ".run_log_store" / "failed.json").write_text(json.dumps(log))
    lines = [line.rstrip() for line in command("show", "failed").out.splitlines()]
    assert error in [line.strip() for line in lines]
    at = lines.index("publish, attempt 1:")
    assert lines[at + 1 : at + 8] == [
        *(f"  {line}" for line in frames.splitlines()[-6:]),
        f"  {error}",
    ]


def test_what_a_damaged_log_quotes_is_masked(command: Command, project: Path) -> None:
    """The host's error repeats what stands in the log, a secret too."""
    path = project / ".run_log_store" / f"{RUNS['demo']}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tag": ["password=hunter2"]}))
    done = command("show", RUNS["demo"])
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "is not a run log" in done.err
    assert "hunter2" not in done.err
