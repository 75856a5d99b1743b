"""What is kept between restarts is held by one process, and never taken for something else."""

import sqlite3
from pathlib import Path

import pytest

from runlog_otel.errors import ConfigError
from runlog_otel.service.state import State, StateInUseError


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
