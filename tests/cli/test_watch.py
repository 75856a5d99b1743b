"""A run is read again only if it may have changed; what helps to judge it is read once."""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from runlog_otel.cli.watch import MAX_LINES, RunWatch
from runlog_otel.core.log_lines import Output
from runlog_otel.core.model import ExecutionLog, Run, Status, StoredRun
from runlog_otel.core.progress import State
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import RunLogFormatError, RunNotFoundError, SourceError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source
from tests.cli.conftest import GOLDEN
from tests.core.logs import attempt, branch, composite, run, task, verdict

RUNNING = Status.PROCESSING
LONG_AGO = 1_700_000_000_000_000_000


class Memory(Source):
    """Runs that a test changes; it counts how often each is read."""

    def __init__(self, *runs: Run, changed_ns: int | None = LONG_AGO) -> None:
        self.settings = Settings()
        self.runs = {run.run_id: run for run in runs}
        self.written_ns = changed_ns
        self.reads: list[str] = []
        self.failure: Exception | None = None
        self.written = Output("")

    @property
    @override
    def where(self) -> str:
        return "memory"

    @override
    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        return [StoredRun(run_id, number) for number, run_id in enumerate(self.runs)]

    @override
    def changed_ns(self, run_id: str) -> int | None:
        return self.written_ns

    @override
    def run(self, run_id: str) -> Run:
        self.reads.append(run_id)
        if self.failure is not None:
            raise self.failure
        if run_id not in self.runs:
            raise RunNotFoundError(run_id, self.where)
        return self.runs[run_id]

    @override
    def output(self, run_id: str, log: ExecutionLog) -> Output | None:
        return self.written


def going(run_id: str = "r", **changes: object) -> Run:
    return replace(run(task("a", status=RUNNING), status=RUNNING), run_id=run_id, **changes)  # type: ignore[arg-type]


def test_a_run_that_has_not_changed_is_not_read_again() -> None:
    """It is after its next write; a source that cannot tell is read each time."""
    source = Memory(going())
    watch = RunWatch(source, "r")
    watch.poll()
    watch.poll()
    assert source.reads.count("r") == 1 + 1  # as itself, and to find earlier successes
    source.written_ns = LONG_AGO + 1
    watch.poll()
    watch.poll()
    assert (source.reads.count("r"), watch.changed_ns) == (3, LONG_AGO + 1)
    source.written_ns = None
    watch.poll()
    watch.poll()
    assert source.reads.count("r") == 5


def test_a_fresh_run_is_read_again() -> None:
    """It may be written twice within a tick of the clock of its file system."""
    source = Memory(going(), changed_ns=time.time_ns())
    watch = RunWatch(source, "r")
    before = source.reads.count("r")
    watch.poll()
    assert source.reads.count("r") == before + 1


def test_a_run_grows_until_it_has_ended() -> None:
    """Then it has a result."""
    source = Memory(going(), changed_ns=None)
    watch = RunWatch(source, "r")
    assert (watch.result, [part.state for part in watch.progress.parts]) == ("", [State.RUNNING])
    ended = run(task("a", attempt(0, 1, ok=False)), verdict("fail", 1), status=Status.FAIL)
    source.runs["r"] = replace(ended, run_id="r")
    watch.poll()
    assert (watch.result, [part.state for part in watch.progress.parts]) == ("failure", [State.FAILURE])


def test_a_run_that_cannot_be_read_for_a_while_stays_as_it_was() -> None:
    """One that is gone does not."""
    source = Memory(going(), changed_ns=None)
    watch = RunWatch(source, "r")
    for failure in (SourceError("memory", "cannot be read"), RunLogFormatError("r", "it is empty")):
        source.failure = failure
        watch.poll()
        assert watch.progress.parts[0].state is State.RUNNING
    source.failure = None
    watch.poll()
    del source.runs["r"]
    with pytest.raises(RunNotFoundError):
        watch.poll()


def test_earlier_successes_say_how_long_it_takes() -> None:
    """Those of the same pipeline, also if the first write of the run lacks its name; once read, they are kept."""
    earlier = replace(run(task("a", attempt(0, 7)), verdict("success", 7)), run_id="s", pipeline="p")
    other = replace(run(task("a", attempt(0, 99)), verdict("success", 99)), run_id="o", pipeline="q")
    source = Memory(earlier, other, going(pipeline="runnable"), changed_ns=None)
    watch = RunWatch(source, "r")
    assert watch.usual == {}
    source.runs["r"] = going(pipeline="p")
    watch.poll()
    assert watch.usual["a",] == 7_000_000_000
    before = source.reads.count("s")
    watch.poll()
    assert source.reads.count("s") == before


def test_a_branch_begins_when_it_was_first_seen() -> None:
    """Not if it ran before anybody looked."""

    def mapped(*begun: str) -> Run:
        branches = [
            branch(f"m.{n}", *([task(f"m.{n}.t", status=RUNNING)] if n in begun else []), status=RUNNING) for n in "xy"
        ]
        return replace(run(composite("m", "map", *branches, status=RUNNING), status=RUNNING), run_id="r")

    source = Memory(mapped("x"), changed_ns=None)
    watch = RunWatch(source, "r")
    before_ns = time.time_ns()
    source.runs["r"] = mapped("x", "y")
    watch.poll()
    starts = {part.path: part.start_ns for part in watch.progress.all_parts() if part.is_branch}
    assert starts["m.x"] is None
    assert before_ns <= (starts["m.y"] or 0) <= time.time_ns()


def test_the_last_lines_are_of_the_traceback_or_of_the_output() -> None:
    """As records have them: masked, without colours, cut."""
    log, traceback = ExecutionLog("a.execution.log", 100), "Traceback (most recent call last):\nValueError: x"
    quiet = replace(attempt(0, 1), log=log)
    failed = replace(
        attempt(0, 1, ok=False), message="ValueError: x\n\nTraceback (most recent call last):\nValueError: x"
    )
    source = Memory(replace(run(task("a", quiet), task("b", failed), task("c", attempt(0, 1))), run_id="r"))
    source.written = Output(
        "".join(f"line {n}\n" for n in range(20)) + "\x1b[31mpassword=hunter2\x1b[0m " + "x" * 5_000
    )
    watch = RunWatch(source, "r")
    a, b, _ = watch.progress.parts
    lines = watch.last_lines(a)
    assert lines[:-1] == [f"line {n}" for n in range(20 - MAX_LINES + 1, 20)]
    assert lines[-1].startswith("password=******** xxx")
    assert len(lines[-1]) < 600
    assert watch.last_lines(b) == traceback.splitlines()
    assert {part.name for part in watch.with_output(5)} == {"a", "b"}


def test_a_source_that_cannot_list_its_runs_is_followed() -> None:
    """Only the time left is unknown."""

    class Unlisted(Memory):
        @override
        def changes(self, since_ns: int) -> Iterable[StoredRun]:
            raise SourceError("memory", "cannot be listed")

    watch = RunWatch(Unlisted(going()), "r")
    watch.poll()
    assert watch.usual == {}


@pytest.mark.parametrize("log", sorted(GOLDEN.glob("*.log.json")), ids=lambda log: log.name.partition(".")[0])
def test_a_recorded_run_has_the_result_of_its_span(log: Path) -> None:
    """Of the last execution, if that has ended."""
    recorded = run_from_log(json.loads(log.read_text(encoding="utf-8")))
    spans = json.loads(log.with_name(log.name.replace(".log.", ".spans.")).read_text(encoding="utf-8"))
    last = spans["executions"][-1]
    expected = last["spans"][0]["result"] if last["is_complete"] else ""
    assert RunWatch(Memory(recorded), recorded.run_id).result == expected
