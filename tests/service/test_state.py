"""What is kept between restarts is held by one process, and never taken for something else."""

import sqlite3
from pathlib import Path

import pytest

from runlog_otel.errors import ConfigError, StateInUseError
from runlog_otel.service.state import ActiveRun, State


def test_there_is_one_writer(tmp_path: Path) -> None:
    """A second one is told, until the first lets go."""
    first = State(tmp_path / "serve.db")
    with pytest.raises(StateInUseError, match="in use by another `runlog-otel serve`"):
        State(tmp_path / "serve.db")
    first.close()
    State(tmp_path / "serve.db").close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """What was noted in it can be noted again."""
    state = State(tmp_path / "serve.db")

    def fail() -> None:
        with state.transaction():
            assert state.count("s", "r", 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with state.transaction():
        assert state.count("s", "r", 1)
        assert not state.count("s", "r", 1)
    state.close()


def test_a_file_that_is_none_of_ours_stays_as_it_is(tmp_path: Path) -> None:
    """A text, a folder, another database, and the state of a newer version are told, and not touched."""
    text, folder, newer, other = (tmp_path / name for name in ("text", "folder", "newer", "other"))
    text.write_text("important notes " * 100)
    folder.mkdir()
    State(newer).close()
    for path, statement in ((newer, "PRAGMA user_version = 99"), (other, "CREATE TABLE mine (id INTEGER)")):
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
    problems = {text: "not a database", folder: "unable to open", newer: "newer runlog-otel", other: "another database"}
    for path, problem in problems.items():
        with pytest.raises(ConfigError, match=problem):
            State(path)
    assert text.read_text() == "important notes " * 100


def test_a_state_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """What it counted stays counted."""
    state = State(tmp_path / "serve.db")
    assert state.count("s", "r", 1)
    state.close()
    connection = sqlite3.connect(tmp_path / "serve.db")
    connection.executescript("DROP TABLE aside; PRAGMA user_version = 1;")
    connection.close()
    state = State(tmp_path / "serve.db")
    assert not state.count("s", "r", 1)
    state.set_aside("s", "odd", 7)
    state.close()
    state = State(tmp_path / "serve.db")
    assert (state.aside("s"), state.aside("other")) == ({"odd": 7}, {})
    state.close()


def test_run_ids_are_kept_as_they_are(tmp_path: Path) -> None:
    """A file's name may be anything."""
    run_ids = ["r", "\udce9", "\\udce9", "nul\0", "ü🎉", ""]
    state = State(tmp_path / "serve.db")
    for run_id in run_ids:
        state.set_active(ActiveRun("s", run_id, "p", "", 1, 1))
        state.set_aside("s", run_id, 1)
    assert sorted(run.run_id for run in state.active()) == sorted(state.aside("s")) == sorted(run_ids)
    for run_id in run_ids:
        state.take_back("s", run_id)
        state.set_ended("s", run_id)
    assert (state.active(), state.aside("s")) == ([], {})
    state.close()
