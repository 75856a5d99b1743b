"""How real runs ended that reached no verdict: live, and the same to the byte from the log."""

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e import oracle
from tests.e2e.backend import Backend, Sent, backend, healthy
from tests.hosts.project import LOCAL, PARALLEL, Project

PATIENT = 60.0
EXECUTORS: Mapping[str, Mapping[str, Any]] = {"parallel": PARALLEL}


class Ended(NamedTuple):
    """The exit status of the program, and how the run and the step that was open ended."""

    status: int
    result: str
    error_type: str
    description: str
    exception: str


ENDINGS = {
    "ctrl-c": Ended(-signal.SIGINT, "cancellation", "cancellation", "KeyboardInterrupt", "KeyboardInterrupt"),
    "between": Ended(-signal.SIGINT, "cancellation", "cancellation", "KeyboardInterrupt", "KeyboardInterrupt"),
    "parallel": Ended(-signal.SIGINT, "cancellation", "cancellation", "KeyboardInterrupt", "KeyboardInterrupt"),
    "async": Ended(
        -signal.SIGINT,
        "cancellation",
        "cancellation",
        "asyncio.exceptions.CancelledError",
        "asyncio.exceptions.CancelledError",
    ),
    "sigterm": Ended(143, "cancellation", "cancellation", "143", "SystemExit"),
    "deadline": Ended(142, "timeout", "timeout", "142", "SystemExit"),
    "exit": Ended(1, "error", "SystemExit", "password=******** is wrong", "SystemExit"),
    "catalog": Ended(1, "error", "Exception", "Did not find any files matching nothing.txt in .", "Exception"),
    "full-store": Ended(1, "error", "OSError", "[Errno 28] No space left on device", "OSError"),
}


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend(healthy) as listening:
        yield listening


def project(folder: Path, server: Backend, how: str = "", store: str = "file-system") -> Project:
    telemetry = {"endpoint": server.url, "exit_budget_seconds": PATIENT}
    own = Project(folder, store, EXECUTORS.get(how, LOCAL), telemetry)
    if store == "sqlite":
        inner = {"type": "sql", "config": {"connection_string": f"sqlite:///{folder}/runs.db"}}
        wrapped = {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}}
        own.write_config({"run-log-store": wrapped, "pipeline-executor": own.executor})
    return own


def attributes(part: Any) -> dict[str, Any]:
    """The texts among the attributes of a span or an event."""
    return {each.key: each.value.string_value for each in part.attributes}


def root(spans: set[Sent], execution: int = 1) -> Sent:
    (own,) = [span for span in spans if span.span_id == oracle.span_id("r", execution, "run")]
    return own


def replayed(own: Project, server: Backend, *options: str) -> set[Sent]:
    """What `export` sends of the run."""
    server.acknowledged.clear()
    own.export("r", *options).succeeded()
    return server.spans_of("r")


@pytest.mark.parametrize("how", ENDINGS)
def test_a_run_that_was_broken_off_says_how(tmp_path: Path, server: Backend, how: str) -> None:
    """Result, type and evidence are at the backend when the process has ended, and an export adds nothing."""
    own, expected = project(tmp_path, server, how), ENDINGS[how]
    done = own.run("broken_off", "r", HOW=how)
    assert (done.returncode, "telemetry failed" in done.output) == (expected.status, False), done.output
    live = server.spans_of("r")
    run = root(live)
    told = attributes(run.span)
    assert (told["cicd.pipeline.result"], told["error.type"]) == (expected.result, expected.error_type)
    assert run.span.status.message == expected.description
    (event,) = run.span.events
    assert attributes(event)["exception.type"] == expected.exception
    assert "Traceback (most recent call last)" in attributes(event)["exception.stacktrace"]
    results = {
        span.name: attributes(span.span)["cicd.pipeline.task.run.result"]
        for span in live
        if "cicd.pipeline.task.run.result" in attributes(span.span)
    }
    assert results.get("work", expected.result) == expected.result
    assert "close" not in results
    assert own.unsent() == []
    assert replayed(own, server) == live
    assert b"hunter2" not in b"".join(span.content for span in live)


@pytest.mark.parametrize("store", ["file-system", "chunked-fs", "sqlite"])
def test_a_retry_of_a_cancelled_run_is_its_next_execution(tmp_path: Path, server: Backend, store: str) -> None:
    """The first trace stays as it is."""
    own = project(tmp_path, server, store=store)
    own.run("broken_off", "r", HOW="ctrl-c")
    first = server.spans_of("r")
    assert attributes(root(first).span)["cicd.pipeline.result"] == "cancellation"
    own.retry("r", HOW="nothing").succeeded()
    live = server.spans_of("r")
    told = attributes(root(live, 2).span)
    assert (told["cicd.pipeline.result"], told["runlog.retry.reason"]) == ("success", "cancellation")
    assert replayed(own, server) == live
    assert first < live


def test_a_retry_that_is_interrupted_before_its_first_attempt_has_a_trace(tmp_path: Path, server: Backend) -> None:
    """The execution before it had reached its verdict; the next retry gets another number."""
    own = project(tmp_path, server)
    own.run("broken_off", "r", HOW="alarm")
    own.run("broken_off", "r", HOW="between", RUNNABLE_RETRY_RUN_ID="r")
    own.retry("r", HOW="nothing").succeeded()
    live = server.spans_of("r")
    results = [attributes(root(live, number).span)["cicd.pipeline.result"] for number in (1, 2, 3)]
    assert results == ["failure", "cancellation", "success"]
    assert replayed(own, server) == live


def test_a_program_that_goes_on_after_its_run_was_broken_off(tmp_path: Path, server: Backend) -> None:
    """The ending is noted when the host raises, not when the process ends."""
    own = project(tmp_path, server)
    done = own.run("broken_off", "r", HOW="catalog", CAUGHT="1").succeeded()
    assert "went on" in done.output.splitlines()
    assert attributes(root(server.spans_of("r")).span)["error.type"] == "Exception"


def test_a_store_that_takes_no_ending_leaves_the_run_to_an_export(tmp_path: Path, server: Backend) -> None:
    """Nothing is sent that a replay could not send, and the list of unsent runs says why it has the run."""
    own = project(tmp_path, server)
    done = own.run("broken_off", "r", HOW="no-store")
    assert (done.returncode, done.output.count("telemetry failed")) == (1, 1)
    (unsent,) = own.unsent()
    assert unsent["is_abandoned"]
    reason = "its process ended before the run did: runnable.exceptions.RunLogNotFoundError: "
    assert unsent["reason"].startswith(reason)
    assert oracle.span_id("r", 1, "run") not in {span.span_id for span in server.spans_of("r")}


@pytest.mark.parametrize(("how", "number"), [("sigterm-default", signal.SIGTERM), ("sigkill", signal.SIGKILL)])
def test_a_process_that_was_killed_sees_nothing(tmp_path: Path, server: Backend, how: str, number: int) -> None:
    """Without a handler of the program's own, SIGTERM is the same: the run goes on as far as its log says."""
    own = project(tmp_path, server)
    assert own.run("broken_off", "r", HOW=how).returncode == -number
    assert "endings" not in own.log("r")["run_config"]["runlog_otel"]
    told = attributes(root(replayed(own, server, "--abandoned")).span)
    assert (told["cicd.pipeline.result"], told["error.type"]) == ("error", "abandoned")


def test_a_step_that_a_timer_interrupts_timed_out(tmp_path: Path, server: Backend) -> None:
    """The host takes what the timer's handler raised for the step's own failure."""
    own = project(tmp_path, server)
    own.run("broken_off", "r", HOW="alarm")
    live = server.spans_of("r")
    (attempt,) = [span for span in live if span.name == "work attempt"]
    assert attributes(attempt.span)["runlog.attempt.result"] == "timeout"
    assert replayed(own, server) == live


@pytest.mark.parametrize("store", ["file-system", "chunked-fs", "sqlite"])
def test_a_run_that_was_killed_is_closed_by_hand(tmp_path: Path, server: Backend, store: str) -> None:
    """The log has it then: every later export tells the same, and a retry is the next execution."""
    own = project(tmp_path, server, store=store)
    own.run("broken_off", "r", HOW="sigkill")
    closed = replayed(own, server, "--as", "timeout")
    told = attributes(root(closed).span)
    assert (told["cicd.pipeline.result"], told["error.type"]) == ("timeout", "timeout")
    assert {"load", "work"} <= {span.name for span in closed}
    assert replayed(own, server) == closed
    done = own.export("r", "--as", "cancellation")
    assert (done.returncode, "run 'r' has ended" in done.output) == (2, True)
    own.retry("r", HOW="nothing").succeeded()
    assert replayed(own, server) > closed
    assert attributes(root(server.spans_of("r"), 2).span)["runlog.retry.reason"] == "timeout"


def test_what_cannot_be_closed_by_hand_is_one_line(tmp_path: Path, server: Backend) -> None:
    """A folder that is only read, a file, a selection, a log without the wrapper's header; a dry run writes nothing."""
    own = project(tmp_path, server)
    own.run("broken_off", "r", HOW="sigkill")
    for arguments, problem in {
        ("r", "--source", ".run_log_store"): "is only read",
        (".run_log_store/r.json",): "name them, and select no others",
        ("r", "--unsent"): "name them, and select no others",
        (): "say which runs",
    }.items():
        done = own.export(*arguments, "--as", "timeout")
        assert (done.returncode, problem in done.output, done.output.count("\n")) == (2, True, 1), done.output
    assert "r would be closed as timeout" in own.export("r", "--as", "timeout", "--dry-run").succeeded().output
    log = own.folder / ".run_log_store" / "r.json"
    text = log.read_text(encoding="utf-8")
    assert "endings" not in text
    log.write_text(text.replace('"runlog_otel"', '"other"'), encoding="utf-8")
    done = own.export("r", "--as", "timeout")
    assert (done.returncode, "recorded without the wrapper" in done.output) == (2, True)
