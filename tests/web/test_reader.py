"""What pages know of a source: histories, results, and what is not read twice."""

from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from runlog_otel.core.model import Run
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files
from runlog_otel.stores.run_list import RunFilter
from runlog_otel.web import reader as reading
from runlog_otel.web.reader import RunReader, is_going_on
from runlog_otel.web.remembered import Remembered
from tests.web.conftest import FileRuns, Runs, SqlRuns, attempt, run, step

DAY = 86_400
BEGAN_NS = 1_767_261_600 * 10**9
"""When attempts begin: 2026-01-01 10:00 UTC."""


def _begun(day: int) -> dict[str, Any]:
    moment = f"2026-01-{day:02} 10:00:0"
    return {**attempt(), "start_time": f"{moment}0+00:00", "end_time": f"{moment}5+00:00"}


def test_a_run_is_compared_with_those_that_began_before_it(runs: Runs) -> None:
    """Of its own pipeline, the newest first; not with itself, and not with later ones."""
    for day in range(1, 5):
        runs.put(run(f"run-{day}", step("a", _begun(day))))
    runs.put(run("other", step("a", _begun(1)), pipeline="other"))
    source = runs.source()
    reader = RunReader(source)
    before = [[record.run_id for record in reader.history_before(source.run(f"run-{day}"))] for day in (1, 3)]
    assert before == [[], ["run-2", "run-1"]]
    source.close()


@pytest.mark.parametrize(
    ("status", "ending_ns", "expected"),
    [
        ("SUCCESS", 0, "success"),
        ("FAIL", 0, "failure"),
        ("PROCESSING", 0, "running"),
        ("PROCESSING", BEGAN_NS + 60 * 10**9, "cancellation"),
        ("PROCESSING", BEGAN_NS - 60 * 10**9, "running"),
    ],
)
def test_a_run_that_was_broken_off_does_not_run(runs: Runs, status: str, ending_ns: int, expected: str) -> None:
    """The hosts leave its status; a retry after it runs again."""
    header: dict[str, Any] = {"created": "2026-01-01T08:00:00+00:00", "pipeline": "train"}
    if ending_ns:
        header["endings"] = [{"execution": 1, "result": "cancellation", "at_ns": ending_ns}]
    runs.put({**run("r", step("a"), status=status), "run_config": {"runlog_otel": header}})
    source = runs.source()
    reader = RunReader(source)
    listed = reader.history.page(RunFilter()).runs
    (line,) = reader.lines(listed, listed[0].updated_ns)
    assert line.result == expected
    assert is_going_on(listed[0], listed[0].updated_ns + (DAY + 1) * 10**9) is False
    source.close()


class Counting(Files):
    """Counts how often a run is read."""

    reads = 0

    @override
    def run(self, run_id: str) -> Run:
        type(self).reads += 1
        return super().run(run_id)


def test_a_run_that_is_not_written_is_not_read_again(tmp_path: Path) -> None:
    """Neither for a list, nor for a pipeline; one that is written is."""
    files = FileRuns(tmp_path)
    for number in range(5):
        files.put(run(f"run-{number}", step("a")))
    reader = RunReader(Counting(tmp_path, Settings.load({}, {})))

    def read() -> int:
        before = Counting.reads
        page = reader.history.page(RunFilter())
        reader.lines(page.runs, reading.now_ns())
        assert len(reader.digests(page.runs)) == 5
        return Counting.reads - before

    assert (read(), read()) == (10, 0)
    files.put(run("run-3", step("a"), step("b")))
    assert read() == 2


@pytest.mark.parametrize("runs", ["sqlite"], indirect=True)
def test_a_long_history_is_read_as_far_as_it_has_only_so_many_steps(runs: SqlRuns) -> None:
    """The newest first."""
    for number in range(4):
        runs.put(run(f"run-{number}", step("a")))
    table = runs.store.database.tables.runs
    many = table.update().values(steps=reading.MAX_STEPS // 2)
    runs.store.database.write(lambda connection: connection.execute(many))
    source = runs.source()
    reader = RunReader(source)
    digests = reader.digests(reader.history.page(RunFilter()).runs)
    assert [digest.record.run_id for digest in digests] == ["run-3", "run-2"]
    source.close()


def test_the_least_recently_used_is_forgotten() -> None:
    """At most so many are kept."""
    kept: Remembered[str, int] = Remembered(2)
    kept["a"], kept["b"] = 1, 2
    assert kept.get("a") == 1
    kept["c"] = 3
    assert [kept.get(key) for key in "abc"] == [1, None, 3]
    assert (kept.fresh("a", 60), kept.fresh("a", -1)) == ((1,), None)
