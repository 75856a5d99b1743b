"""What is written of runs is for its owner's eyes."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runlog_otel.exporters.otlp.file import OtlpFileSink
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.private_files import make_private
from runlog_otel.service.state import State
from runlog_otel.settings import Settings
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from tests.exporters.spans import RESOURCE, spans_of_every_kind


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Files may be read and written by everybody, unless who makes them says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """The modes of everything in a folder, in octal."""
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")}


def test_the_files_of_a_sqlite_store_are_private(tmp_path: Path) -> None:
    """Those beside it that SQLite makes while it is open, too."""
    store = SqlStore(Database(f"sqlite:///{tmp_path}/store/runs.db"))
    store.put({"run_id": "r", "status": "SUCCESS", "steps": {}})
    assert modes(tmp_path) == {
        "store": "0o700",
        "store/runs.db": "0o600",
        "store/runs.db-shm": "0o600",
        "store/runs.db-wal": "0o600",
    }


def test_the_state_of_serve_is_private(tmp_path: Path) -> None:
    """While it is open, and afterwards."""
    state = State(tmp_path / "serve" / "state.db")
    assert set(modes(tmp_path).values()) == {"0o700", "0o600"}
    state.close()
    assert modes(tmp_path) == {"serve": "0o700", "serve/state.db": "0o600"}


def test_markers_of_what_is_unsent_are_private(tmp_path: Path) -> None:
    """They tell run ids and what a backend said."""
    Outbox(tmp_path / "unsent").add("r", "it is away")
    assert sorted(modes(tmp_path).values()) == ["0o600", "0o700"]


def test_a_file_of_spans_is_private(tmp_path: Path) -> None:
    """It is the telemetry itself."""
    sink = OtlpFileSink(Settings.load({"endpoint": (tmp_path / "out" / "spans.jsonl").as_uri()}, {}))
    sink.send(RESOURCE, spans_of_every_kind(), 1)
    assert modes(tmp_path) == {"out": "0o700", "out/spans.jsonl": "0o600"}


def test_what_is_there_keeps_its_mode_and_content(tmp_path: Path) -> None:
    """Somebody may have opened it to a group on purpose."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o750)
    (folder / "spans.jsonl").write_text("{}\n", encoding="utf-8")
    (folder / "spans.jsonl").chmod(0o640)
    make_private(folder / "spans.jsonl")
    assert modes(tmp_path) == {"shared": "0o750", "shared/spans.jsonl": "0o640"}
    assert (folder / "spans.jsonl").read_text(encoding="utf-8") == "{}\n"


def test_what_a_link_points_to_is_made_private(tmp_path: Path) -> None:
    """A link to a file that is not there yet."""
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    make_private(tmp_path / "link")
    assert oct(stat.S_IMODE((tmp_path / "real" / "file").stat().st_mode)) == "0o600"


def test_many_may_make_the_same_file(tmp_path: Path) -> None:
    """Threads and processes that begin at once."""
    errors: list[BaseException] = []

    def make() -> None:
        try:
            make_private(tmp_path / "a" / "b" / "file")
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, oct(stat.S_IMODE((tmp_path / "a" / "b" / "file").stat().st_mode))) == ([], "0o600")
