"""A distribution with stores of its own, as if it were installed."""

import os
import shutil
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("probe") / "runlog_probe.py"
STORES = {
    "recording": "RecordingStore",
    "broken": "BrokenStore",
    "watched": "WatchedStore",
    "demanding": "DemandingStore",
}


@pytest.fixture(scope="session")
def probe_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A value of PYTHONPATH with which stevedore finds the stores of `tests/hosts/probe`."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(PROBE, site)
    information = site / "runlog_probe-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: runlog-probe\nVersion: 1\n", encoding="utf-8")
    lines = ["[run_log_store]", *(f"{name} = runlog_probe:{store}" for name, store in STORES.items())]
    (information / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
