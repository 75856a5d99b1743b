"""Runs that were not acknowledged whole are remembered, a small file each."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from runlog_otel.exporters.traces.outbox import Outbox


def test_a_run_is_remembered_until_it_is_discarded(tmp_path: Path) -> None:
    """Whatever its id looks like."""
    outbox = Outbox(tmp_path / "unsent")
    assert list(outbox) == []
    for run_id in ("a", "../b", "c/d\n", "ü" * 300):
        outbox.add(run_id, "HTTP 503")
    assert {unsent.run_id for unsent in outbox} == {"a", "../b", "c/d\n", "ü" * 300}
    outbox.discard("../b")
    outbox.discard("never there")
    assert {unsent.run_id for unsent in outbox} == {"a", "c/d\n", "ü" * 300}
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "unsent"}


def test_the_first_reason_stays_but_an_abandoned_run_is_told(tmp_path: Path) -> None:
    """`since` is the first failure's."""
    outbox = Outbox(tmp_path)
    outbox.add("a", "first")
    outbox.add("a", "second")
    (unsent,) = outbox
    assert (unsent.reason, unsent.is_abandoned) == ("first", False)
    outbox.add("a", "its process ended", is_abandoned=True)
    outbox.add("a", "third")
    (again,) = outbox
    assert (again.reason, again.is_abandoned, again.since) == ("its process ended", True, unsent.since)


def test_a_damaged_marker_is_passed_over(tmp_path: Path) -> None:
    """It costs no other run its place."""
    outbox = Outbox(tmp_path)
    outbox.add("a", "x")
    (tmp_path / "bad.json").write_text('{"run_id"')
    (tmp_path / "odd.json").write_text("[1]")
    (tmp_path / "types.json").write_text('{"run_id": 1, "since": null, "reason": "x"}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "circle.json").symlink_to("circle.json")
    os.mkfifo(tmp_path / "fifo.json")
    assert [unsent.run_id for unsent in outbox] == ["a"]


def test_a_damaged_marker_of_a_run_is_replaced(tmp_path: Path) -> None:
    """When the run is to be remembered."""
    outbox = Outbox(tmp_path)
    outbox.add("a", "x")
    (path,) = tmp_path.iterdir()
    path.write_text("")
    outbox.add("a", "y")
    assert [unsent.reason for unsent in outbox] == ["y"]


def test_threads_that_remember_the_same_run_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Nothing is raised, one whole marker stays, and that the run is abandoned is not lost."""
    outbox = Outbox(tmp_path)
    for number in range(50):
        begin = Barrier(8)

        def add(writer: int, run_id: str = f"r{number}", begin: Barrier = begin) -> None:
            begin.wait()
            outbox.add(run_id, f"reason {writer}" * 1000, is_abandoned=writer == 0)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
    assert [unsent.is_abandoned for unsent in outbox] == [True] * 50
    assert len(list(tmp_path.iterdir())) == 50


def test_a_marker_is_for_its_owner(tmp_path: Path) -> None:
    """What a backend answered stands in it."""
    Outbox(tmp_path).add("a", "x")
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


def test_the_folder_stays_where_it_was_when_a_step_changes_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder is one of the place where the pipeline began."""
    monkeypatch.chdir(tmp_path)
    outbox = Outbox(Path("unsent"))
    monkeypatch.chdir("/")
    outbox.add("a", "x")
    assert len(list((tmp_path / "unsent").iterdir())) == 1
