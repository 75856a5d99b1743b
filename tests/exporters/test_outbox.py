"""Runs that were not acknowledged whole are remembered, a small file each."""

from pathlib import Path

import pytest

from runlog_otel.exporters.outbox import Outbox


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
    assert [unsent.run_id for unsent in outbox] == ["a"]


def test_the_folder_stays_where_it_was_when_a_step_changes_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder is one of the place where the pipeline began."""
    monkeypatch.chdir(tmp_path)
    outbox = Outbox(Path("unsent"))
    monkeypatch.chdir("/")
    outbox.add("a", "x")
    assert len(list((tmp_path / "unsent").iterdir())) == 1
