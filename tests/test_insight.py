"""A run is diagnosed against its history, wherever that is kept, and no more of it is read than asked for."""

import copy
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from runlog_otel.core.comparison import Difference
from runlog_otel.core.headline import time_text
from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import RunLogFormatError, RunNotFoundError, SourceError
from runlog_otel.insight import compare, diagnose
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogTarget, Source, source_from_url
from tests.core.test_first_cause import LOGS

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+")
Log = dict[str, Any]


def shifted(value: Any, by: timedelta) -> Any:
    """A log that was written so much later."""
    if isinstance(value, dict):
        return {key: shifted(part, by) for key, part in value.items()}
    if isinstance(value, list):
        return [shifted(part, by) for part in value]
    if not isinstance(value, str):
        return value
    return _TIME.sub(lambda found: str(datetime.fromisoformat(found[0]) + by).replace(" ", found[0][10]), value)


def recorded(name: str, number: int, pipeline: str = "shop") -> Log:
    """A recorded run as number so many of a pipeline: an hour after the one before."""
    log: Log = shifted(copy.deepcopy(LOGS[name]), timedelta(hours=number))
    run_id = f"run-{number}"
    own = log["run_config"]
    own["runlog_otel"]["pipeline"] = pipeline
    own["run_id"] = run_id
    return {**log, "run_id": run_id}


def succeeded(number: int, revision: str = "") -> Log:
    """The run `exception`, had its step `publish` succeeded."""
    log = recorded("exception", number)
    steps = log["steps"]
    publish = steps["publish"]["attempts"][0]
    steps["publish"]["status"] = publish["status"] = "SUCCESS"
    publish["message"] = ""
    steps["report"] = {**copy.deepcopy(steps["load"]), "name": "report", "internal_name": "report"}
    steps["success"] = {**steps.pop("fail"), "name": "success", "internal_name": "success", "step_type": "success"}
    if revision:
        for step in steps.values():
            step["attempts"][0]["code_identities"][0]["code_identifier"] = revision
    return {**log, "status": "SUCCESS"}


def in_folder(folder: Path, logs: Iterable[Log]) -> Source:
    for at, log in enumerate(logs):
        path = folder / f"{log['run_id']}.json"
        path.write_text(json.dumps(log), encoding="utf-8")
        os.utime(path, (at, at))
    return source_from_url(str(folder), Settings.load({}, {}), lambda _: None)


def in_sqlite(folder: Path, logs: Iterable[Log]) -> Source:
    source = source_from_url(f"sqlite:///{folder / 'runs.db'}", Settings.load({}, {}), lambda _: None)
    assert isinstance(source, RunLogTarget)
    source.prepare()
    for log in logs:
        source.put(log)
    return source


Keep = Callable[[Path, Iterable[Log]], Source]
KEPT = pytest.mark.parametrize("keep", [in_folder, in_sqlite])
HISTORY: tuple[Callable[[], Log], ...] = (
    lambda: recorded("exception", 1),
    lambda: recorded("exception", 2, "billing"),
    lambda: succeeded(3),
    lambda: recorded("shell", 4),
    lambda: succeeded(5, revision="b" * 40),
    lambda: recorded("exception", 6),
    lambda: recorded("exception", 7),
)


@KEPT
def test_a_run_is_diagnosed_against_what_was_before(tmp_path: Path, keep: Keep) -> None:
    """Seen before here and in another pipeline, changed since the last success; what came later does not count."""
    source = keep(tmp_path, [make() for make in HISTORY])
    diagnosis = diagnose(source, source.run("run-6"))
    source.close()
    assert diagnosis.seen is not None
    assert diagnosis.headline == (
        "publish failed: failures.RegistryError: the registry refuses the model: password=********; "
        f"first seen {time_text(diagnosis.seen.first_ns)}, 3 times in 6 runs"
    )
    assert (diagnosis.history.runs, diagnosis.history.other_pipelines) == (4, 1)
    assert (diagnosis.seen.first_run_id, diagnosis.seen.before_run_id) == ("run-1", "run-2")
    assert dict(diagnosis.seen.pipelines) == {"shop": 2, "billing": 1}
    assert diagnosis.changes is not None
    assert diagnosis.changes.since_run_id == "run-5"
    (revision, *rest) = diagnosis.changes.differences
    assert (revision.kind, revision.before, rest) == ("revision", "b" * 40, [])
    assert diagnosis.flakiness is not None
    assert diagnosis.flakiness.is_flaky
    assert [(part.how, part.path) for part in diagnosis.aftermath.parts] == [("not_run", "report")]


@KEPT
def test_the_history_may_be_left_out(tmp_path: Path, keep: Keep) -> None:
    """Nothing of it is read then."""
    source = keep(tmp_path, [make() for make in HISTORY])
    diagnosis = diagnose(source, source.run("run-6"), history=0)
    source.close()
    assert (diagnosis.history.runs, diagnosis.history.other_pipelines, diagnosis.changes) == (0, 0, None)


@KEPT
def test_the_last_success_is_found_behind_many_failures(tmp_path: Path, keep: Keep) -> None:
    """It is not counted among those that were asked for."""
    logs = [succeeded(1), *(recorded("exception", number) for number in range(2, 7))]
    source = keep(tmp_path, logs)
    diagnosis = diagnose(source, source.run("run-6"), history=3)
    source.close()
    assert diagnosis.changes is not None
    assert (diagnosis.changes.since_run_id, diagnosis.history.runs) == ("run-1", 4)


@KEPT
def test_a_run_in_a_file_is_diagnosed_against_a_store(tmp_path: Path, keep: Keep) -> None:
    """It need not be in it."""
    source = keep(tmp_path, [make() for make in HISTORY[:5]])
    diagnosis = diagnose(source, run_from_log(recorded("exception", 9)))
    source.close()
    assert diagnosis.seen is not None
    assert (diagnosis.seen.runs, diagnosis.history.runs) == (3, 4)


@KEPT
def test_two_runs_are_compared(tmp_path: Path, keep: Keep) -> None:
    """By the last execution of each."""
    source = keep(tmp_path, [succeeded(1, revision="b" * 40), succeeded(2, revision="c" * 40)])
    comparison = compare(source, source.run("run-1"), source.run("run-2"))
    source.close()
    assert comparison.differences == (Difference("revision", "", "b" * 40, "c" * 40),)
    assert [(pair.key, pair.before, pair.after) for pair in comparison.steps] == [
        ("load", "success", "success"),
        ("report", "success", "success"),
        ("publish", "success", "success"),
    ]


class Counted(Source):
    """A source of very many equal runs, that counts how many are read."""

    def __init__(self, count: int, odd: Sequence[str] = ()) -> None:
        self.settings = Settings.load({}, {})
        self.count, self.odd = count, odd
        self.read: list[str] = []

    @property
    @override
    def where(self) -> str:
        return "here"

    @override
    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        return (StoredRun(f"run-{number}", number) for number in range(1, self.count + 1))

    @override
    def run(self, run_id: str) -> Run:
        self.read.append(run_id)
        if run_id in self.odd:
            raise RunLogFormatError(f"the log of {run_id!r}", "it is cut")
        return run_from_log(recorded("exception", int(run_id.removeprefix("run-"))))


def test_a_bounded_number_of_runs_is_read() -> None:
    """However many there are, the newest ones before the run."""
    source = Counted(10_000)
    run = source.run("run-9000")
    source.read.clear()
    diagnosis = diagnose(source, run, history=5)
    assert source.read == [f"run-{number}" for number in range(8999, 8979, -1)]
    assert diagnosis.history.runs == 5


def test_runs_that_cannot_be_read_are_noted() -> None:
    """The others are looked at."""
    source = Counted(5, odd=["run-2", "run-3"])
    diagnosis = diagnose(source, source.run("run-5"))
    assert (diagnosis.history.runs, diagnosis.history.notes) == (2, ("2 earlier runs cannot be read",))


def test_a_history_that_cannot_be_reached_is_noted() -> None:
    """The run itself is diagnosed all the same."""

    class Broken(Counted):
        @override
        def changes(self, since_ns: int) -> Iterable[StoredRun]:
            raise SourceError(self.where, "cannot be listed: postgresql://somebody:hunter2@db/runs is down")

    source = Broken(1)
    diagnosis = diagnose(source, source.run("run-1"))
    assert diagnosis.cause is not None
    (note,) = diagnosis.history.notes
    assert note.startswith("the history is not read to its end: here: cannot be listed")


def test_commands_have_the_options_that_the_call_had() -> None:
    """They can be copied; names are quoted."""
    source = Counted(2)
    diagnosis = diagnose(source, source.run("run-2"), options=("--source", "my runs"))
    assert "runlog-otel show run-2 --source 'my runs'" in diagnosis.commands
    assert "runlog-otel why run-1 --source 'my runs'" in diagnosis.commands


def test_a_run_of_which_nothing_is_recorded_is_an_error() -> None:
    """There is nothing to say of it."""
    log = {"run_id": "r", "status": "CREATED", "steps": {}, "run_config": {}}
    with pytest.raises(RunLogFormatError, match="nothing is recorded of the run yet"):
        diagnose(Counted(1), run_from_log(log))


def test_an_unknown_run_is_not_diagnosed(tmp_path: Path) -> None:
    """As everywhere."""
    source = in_folder(tmp_path, [])
    with pytest.raises(RunNotFoundError):
        diagnose(source, source.run("nope"))
