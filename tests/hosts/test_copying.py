"""Copies hold what a store has, found by its own reading or not."""

from pathlib import Path

from extensions.run_log_store.chunked_fs import ChunkedFileSystemRunLogStore
from runnable.datastore import BranchLog, StepLog

from runlog_otel.hosts.runnable.adapter import HostAdapter, whole_run_log
from runlog_otel.hosts.runnable.stores import SqlRunLogStore
from runlog_otel.settings import Settings
from runlog_otel.sources.copying import COPIED, Copy, copy_runs


def test_a_branch_that_a_chunked_store_does_not_find_is_copied_too(tmp_path: Path) -> None:
    """An iteration's value has a dot in it; the copy has its branch and its step."""
    source = ChunkedFileSystemRunLogStore(log_folder=str(tmp_path / "logs"))
    source.create_run_log("r", status="PROCESSING")
    source.add_step_log(StepLog(name="mp", internal_name="mp", step_type="map", status="SUCCESS"), "r")
    source.add_branch_log(BranchLog(internal_name="mp.1.5", status="SUCCESS"), "r")
    source.add_step_log(StepLog(name="work", internal_name="mp.1.5.work", status="SUCCESS"), "r")
    target = SqlRunLogStore(connection_string=f"sqlite:///{tmp_path / 'runs.db'}")
    settings = Settings.load({}, {})
    assert list(copy_runs(HostAdapter(source, settings), HostAdapter(target, settings), ["r"])) == [Copy("r", COPIED)]
    assert list(whole_run_log(target, "r").steps["mp"].branches["mp.1.5"].steps) == ["mp.1.5.work"]
    target.close()
