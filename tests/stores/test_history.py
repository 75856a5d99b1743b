"""Lists, counts and changes."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from runlog_otel.errors import ConfigError, RunNotFoundError
from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.history import Page, RunFilter, RunHistory, RunSummary
from runlog_otel.stores.sql.retention import expired
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step

TEN = 1_767_261_600_000_000_000
"""2026-01-01 10:00 UTC, when `step` starts."""


def ids(page: Page) -> list[str]:
    return [summary.run_id for summary in page.runs]


@pytest.fixture
def history(store: SqlStore) -> RunHistory:
    for number in range(6):
        tag = "even" if number % 2 == 0 else "odd"
        store.create(run(f"run-{number}", tag=tag))
        store.set_config(f"run-{number}", {"dag": {}}, pipeline="train" if number < 3 else "serve")
    store.put_step(step("a", "FAIL", "Disk 100% full_ on /DATA"), "run-1")
    store.put_step(step("b"), "run-1")
    store.put_step(step("fail", step_type="fail"), "run-1")
    store.set_status("run-1", "FAIL")
    store.set_status("run-2", "SUCCESS")
    runs = store.database.tables.runs

    def date(connection: Any) -> None:
        for number in range(6):
            # Two runs in each nanosecond: pages must not lose one of them.
            changed = update(runs).where(runs.c.run_id == f"run-{number}").values(created_ns=number // 2, updated_ns=7)
            connection.execute(changed)

    store.database.write(date)
    return RunHistory(store)


def test_statuses_in_lower_case_are_statuses(store: SqlStore) -> None:
    """Older versions of magnus wrote them so: they read back as they were, and are found and counted as all others."""
    document = run("old", status="fail", steps={"a": step("a", "fail", "no disk")}, tag=None)
    store.put(document)
    assert store.document("old") == document
    assert expired(store.database, 0) == 1
    history = RunHistory(store)
    (found,) = history.page(RunFilter(status="FAIL", failure="no disk")).runs
    assert (found.run_id, found.failed_steps, history.stats().failed) == ("old", 1, 1)
    assert problems(store.database) == []


def test_runs_are_listed_newest_first_in_pages(history: RunHistory) -> None:
    """Every run is on one page, whatever the size of pages."""
    newest_first = ["run-5", "run-4", "run-3", "run-2", "run-1", "run-0"]
    for size in (1, 2, 3, 4, 6, 7):
        listed: list[str] = []
        after = None
        while True:
            page = history.page(after=after, limit=size)
            listed += ids(page)
            after = page.after
            if after is None:
                break
        assert listed == newest_first


def test_pages_are_read_in_both_directions(history: RunHistory) -> None:
    """The way back has the same pages, and then the runs that were added."""
    first = history.page(limit=2)
    second = history.page(after=first.after, limit=2)
    assert (first.before, ids(second)) == (None, ["run-3", "run-2"])
    history.store.create(run("newer"))
    back = history.page(before=second.before, limit=2)
    assert (ids(back), back.after) == (["run-5", "run-4"], first.after)
    newest = history.page(before=back.before, limit=2)
    assert (ids(newest), newest.before) == (["newer"], None)
    assert ids(history.page(after=newest.after, limit=2)) == ["run-5", "run-4"]


def test_the_unfinished_are_the_newest_of_each_status(history: RunHistory) -> None:
    """Whatever else there is."""
    history.store.set_status("run-0", "CREATED")
    assert [run.run_id for run in history.unfinished(2)] == ["run-5", "run-4", "run-0"]


def test_pipelines_are_listed_by_name(history: RunHistory) -> None:
    """In pages."""
    assert (history.pipelines(5), history.pipelines(1)) == (["serve", "train"], ["serve"])
    assert (history.pipelines(5, after="serve"), history.pipelines(5, after="train")) == (["train"], [])


def test_an_outline_has_the_header_and_the_first_failure(history: RunHistory) -> None:
    """Of a step or a job; a run without a failure has no step, a damaged one is left out."""
    store = history.store
    store.set_config("run-1", {"runlog_otel": {"created": "1970-01-01T00:00:05+00:00"}})
    store.put_step(step("c", "FAIL", "later"), "run-1")
    store.create(run("job"))
    store.put_job({"status": "FAIL", "attempts": [{"status": "FAIL", "message": "no memory"}]}, "job")
    store.set_status("job", "FAIL")
    entries = store.database.tables.entries
    store.put_step(step("d", "FAIL", "damaged"), "run-3")
    damage = update(entries).where(entries.c.key == "d").values(body="{")
    store.database.write(lambda connection: connection.execute(damage))
    outlines = history.outlines(history.page().runs)
    said = {
        run_id: [(each.path, each.attempts[0].message) for each in outline.steps]
        for run_id, outline in outlines.items()
    }
    nothing: dict[str, Any] = {run_id: [] for run_id in ("run-0", "run-2", "run-4", "run-5")}
    assert said == nothing | {"run-1": [("a", "Disk 100% full_ on /DATA")], "job": [("job", "no memory")]}
    assert outlines["run-1"].header.created_ns == 5_000_000_000
    assert history.outlines(()) == {}


def test_runs_added_while_paging_do_not_move_pages(history: RunHistory) -> None:
    """The second page begins where the first one ended, though a newer run came in between."""
    first = history.page(limit=2)
    history.store.create(run("newer"))
    assert ids(history.page(after=first.after, limit=2)) == ["run-3", "run-2"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RunFilter(), ["run-5", "run-4", "run-3", "run-2", "run-1", "run-0"]),
        (RunFilter(run_ids=["run-4", "run-0", "absent"]), ["run-4", "run-0"]),
        (RunFilter(status="SUCCESS"), ["run-2"]),
        (RunFilter(tag="odd"), ["run-5", "run-3", "run-1"]),
        (RunFilter(pipeline="train"), ["run-2", "run-1", "run-0"]),
        (RunFilter(pipeline="train", tag="even"), ["run-2", "run-0"]),
        (RunFilter(since_ns=1, until_ns=2), ["run-3", "run-2"]),
        (RunFilter(failure="disk 100% FULL_"), ["run-1"]),
        (RunFilter(failure="disk 100_ full"), []),
        (RunFilter(tag="' OR 1=1 --"), []),
    ],
)
def test_filters_choose_runs(history: RunHistory, wanted: RunFilter, expected: list[str]) -> None:
    """Each filter narrows the list; text is taken literally."""
    assert ids(history.page(wanted)) == expected


def test_a_summary_says_what_lists_show(history: RunHistory) -> None:
    """Counts leave out the terminal step; times are those of the attempts."""
    expected = RunSummary("run-1", "test", "train", "odd", "FAIL", "", 0, 7, TEN, TEN + 5_000_000_000, 2, 1)
    assert history.page(RunFilter(run_ids=["run-1"])) == Page((expected,), None)


def test_a_step_that_succeeds_at_last_is_no_longer_failed(history: RunHistory) -> None:
    """Counts follow what is written, and writing the same again changes none of them."""
    for _ in range(2):
        history.store.put_step(step("a"), "run-1")
    (summary,) = history.page(RunFilter(run_ids=["run-1"])).runs
    assert (summary.steps, summary.failed_steps) == (2, 0)
    assert ids(history.page(RunFilter(failure="disk"))) == []


@pytest.mark.parametrize(("after", "limit"), [("x", 10), ("1", 10), ("1.x", 10), (None, 0), (None, 1001)])
def test_a_wrong_page_is_refused(history: RunHistory, after: str | None, limit: int) -> None:
    """What is not the end of a page, or too large, is told."""
    with pytest.raises(ConfigError):
        history.page(after=after, limit=limit)


def test_stats_count_by_status(history: RunHistory) -> None:
    """Running is what is neither done nor failed."""
    stats = history.stats()
    expected = replace(
        stats,
        total=6,
        running=4,
        completed=1,
        failed=1,
        oldest_ns=0,
        newest_ns=2,
        schema="0003",
        deleted=0,
    )
    assert stats == expected
    assert stats.by_status == {"FAIL": 1, "PROCESSING": 4, "SUCCESS": 1}
    assert stats.size_bytes > 0


def test_stats_of_an_empty_store(store: SqlStore) -> None:
    """Nothing has no times."""
    stats = RunHistory(store).stats()
    assert (stats.total, stats.oldest_ns, stats.newest_ns) == (0, None, None)


def test_an_update_merges_what_the_function_returns(history: RunHistory) -> None:
    """What is changed is written, what is left out stays."""
    history.store.set_parameters("run-1", {"a": 1, "b": 2})
    before = history.get("run-1")
    after = history.update("run-1", lambda document: {**document, "tag": "new", "parameters": {"a": 5}})
    assert after == {**before, "tag": "new", "parameters": {"a": 5, "b": 2}}
    assert (history.get("run-1"), ids(history.page(RunFilter(tag="new")))) == (after, ["run-1"])


def test_updates_are_not_lost(history: RunHistory) -> None:
    """Eight threads that each add one, twenty times, make 160."""
    history.store.set_parameters("run-1", {"count": 0})

    def add(document: dict[str, Any]) -> dict[str, Any]:
        document["parameters"]["count"] += 1
        return document

    def work() -> None:
        for _ in range(20):
            history.update("run-1", add)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert history.get("run-1")["parameters"] == {"count": 160}


def test_an_update_cannot_rename_a_run(history: RunHistory) -> None:
    """Another run id is refused, and nothing is written."""
    before = history.get("run-1")
    with pytest.raises(ConfigError):
        history.update("run-1", lambda document: {**document, "run_id": "other"})
    assert history.get("run-1") == before


def test_an_unknown_run_is_not_updated(history: RunHistory) -> None:
    """There is nothing to change."""
    with pytest.raises(RunNotFoundError):
        history.update("absent", dict)


def test_changes_are_told_in_their_order(history: RunHistory) -> None:
    """From a moment on, and whether the run has ended, in whatever case its status stands."""
    store = history.store
    store.set_status("run-4", "success")
    store.put_step(step("c"), "run-0")
    told = [(stored.run_id, stored.is_final) for stored in history.changed(8)]
    assert told == [("run-4", True), ("run-0", False)]
    assert sum(1 for _ in history.changed(7)) == 6


def test_changes_are_told_over_many_pages(store: SqlStore) -> None:
    """None is lost where a page ends, not even among equal times."""
    for number in range(7):
        store.create(run(f"run-{number}"))
    runs = store.database.tables.runs
    store.database.write(lambda connection: connection.execute(update(runs).values(updated_ns=5)))
    assert sorted(stored.run_id for stored in RunHistory(store).changed(0, at_once=2)) == [
        f"run-{number}" for number in range(7)
    ]
