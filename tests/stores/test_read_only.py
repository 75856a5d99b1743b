"""A SQLite file that may only be read is read, with its newest writes, and nothing is written beside it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from tests.stores.conftest import run, step

# Root writes where nobody may; without these two capabilities it does not.
UNPRIVILEGED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
REFUSED = "the database is read-only; check the rights of the file and of its folder"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a database of one run."""
    made = tmp_path / "of somebody else"
    made.mkdir()
    store = SqlStore(Database(f"sqlite:///{made}/runs.db"), source="runnable")
    config = {"pipeline_definition_file": "p.py"}
    store.put(run("kept", status="SUCCESS", run_config=config, steps={"a": step("a", step_type="task")}))
    store.database.close()
    yield made
    made.chmod(0o755)


@contextmanager
def closed(folder: Path, mode: int = 0o555) -> Iterator[None]:
    """Nobody may write to the files, nor to the folder where its mode says so; at the end all is as it was."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for path in before:
        path.chmod(0o444)
    folder.chmod(mode)
    yield
    assert {path: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"} == {
        path: content for path, content in before.items() if path.suffix != ".db-shm"
    }
    assert {path.name for path in folder.iterdir()} == {path.name for path in before}
    folder.chmod(0o755)
    for path in before:
        path.chmod(0o644)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call `runlog-otel` on the database as somebody who may only read it."""
    called = [*UNPRIVILEGED, sys.executable, "-m", "runlog_otel", *arguments]
    source = ("--source", f"sqlite:///{folder}/runs.db")
    return subprocess.run([*called, *source], cwd=folder.parent, capture_output=True, text=True, check=False)


def test_a_database_that_may_only_be_read_is_read(folder: Path) -> None:
    """By every command that only looks; one that writes says in one line what to check."""
    with closed(folder):
        shown = command(folder, "show", "kept")
        sent = command(folder, "export", "--all", "--endpoint", f"{folder.parent.as_uri()}/traces.jsonl")
        checked = command(folder, "db", "check")
        written = command(folder, "db", "delete", "kept", "--yes")
    assert (shown.returncode, shown.stdout.split()[:2]) == (0, ["kept", "p.py"])
    assert (sent.returncode, sent.stdout.split(" by ")[0]) == (0, "1 runs, 1 spans acknowledged")
    assert (checked.returncode, checked.stdout.endswith("nothing is wrong\n")) == (0, True)
    assert (written.returncode, written.stderr.count("\n"), written.stderr.endswith(f"{REFUSED}\n")) == (1, 1, True)


def test_a_file_that_may_only_be_read_is_read_in_an_open_folder(folder: Path) -> None:
    """Nothing is made beside it all the same."""
    with closed(folder, 0o755):
        assert '"run_id": "kept"' in command(folder, "runs", "--json").stdout


def test_what_a_writer_has_not_moved_yet_is_read(folder: Path) -> None:
    """The newest writes are in the file beside, whether the writer still runs or was killed."""
    writer = SqlStore(Database(f"sqlite:///{folder}/runs.db"))
    writer.put(run("newest"))
    killed = folder.parent / "killed"
    shutil.copytree(folder, killed)
    for place in (folder, killed):
        with closed(place):
            assert '"run_id": "newest"' in command(place, "runs", "--json").stdout
    writer.database.close()


def test_writes_that_cannot_be_read_are_told(folder: Path) -> None:
    """Without the index that a killed writer left, only who may write there can read them: what is old is not shown."""
    writer = SqlStore(Database(f"sqlite:///{folder}/runs.db"))
    writer.put(run("newest"))
    copied = folder.parent / "copied"
    shutil.copytree(folder, copied)
    (copied / "runs.db-shm").unlink()
    writer.database.close()
    with closed(copied):
        called = command(copied, "runs")
    told = (
        f"error: sqlite:///{copied}/runs.db: its newest writes are in runs.db-wal, which only who may write to its "
        "folder can read; read it as such a user, or copy both files to another folder\n"
    )
    assert (called.returncode, called.stdout, called.stderr) == (1, "", told)


CHANGED = """
import shutil, sys
from pathlib import Path
from runlog_otel.stores.sql.database import Database
file, seen = Path(sys.argv[1]), []
def read(connection):
    seen.append(connection.exec_driver_sql("SELECT count(*) FROM runnable_logs").scalar())
    if len(seen) == 1:
        file.chmod(0o644)
        shutil.copyfile(sys.argv[2], file)
    return connection.exec_driver_sql("SELECT tag FROM runnable_logs").scalar()
print(Database(f"sqlite:///{file}").read(read), len(seen))
"""


def test_a_file_that_is_changed_while_it_is_read_is_read_again(folder: Path) -> None:
    """Nothing is told of a mixture of old and new pages."""
    changed = folder.parent / "changed.db"
    shutil.copyfile(folder / "runs.db", changed)
    with sqlite3.connect(changed) as database:
        database.execute("UPDATE runnable_logs SET tag = 'changed'")
    database.close()
    (folder / "runs.db").chmod(0o444)
    called = [*UNPRIVILEGED, sys.executable, "-c", CHANGED, str(folder / "runs.db"), str(changed)]
    done = subprocess.run(called, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("changed 2\n", "")
