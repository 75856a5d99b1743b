"""Without a host: the package imports, and replays runs from files and databases."""

import json
import os
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from tests.hosts.project import Done, run

_ROOT = Path(__file__).parents[2]
_GOLDEN = _ROOT / "tests" / "golden"
_OF_HOSTS = ("runnable", "extensions", "magnus", "stevedore", "__editable__", "_editable")
_IMPORT_ALL = """
import importlib, pkgutil, runlog_otel
needing = ("hosts.runnable.", "hosts.magnus", "cli.demo_project", "__m", "stores.sql.migrations")
names = [module.name for module in pkgutil.walk_packages(runlog_otel.__path__, "runlog_otel.")]
for name in names:
    if not name.removeprefix("runlog_otel.").startswith(needing):
        importlib.import_module(name)
print(len(names))
"""
_SERVE = """
import sys
from pathlib import Path
from runlog_otel.core import semconv
from runlog_otel.cli.loading import sources
from runlog_otel.service.service import Resend, Service, ServeOptions
from runlog_otel.service.state import State
service = Service(sources(sys.argv[1:], ""), State(Path("serve.db")), ServeOptions(resend=Resend.NONE))
service.poll()
read = {metric.name: rows for metric, rows in service.table.snapshot()}[semconv.EXPORTER_RUNS_READ]
print(service.is_ready, [series.value for _, series in read])
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with everything that we depend on, and no host."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(_OF_HOSTS) and installed.suffix != ".pth":
            (site / installed.name).symlink_to(installed)
    return folder / "bin" / "python"


def called(python: Path, folder: Path, *arguments: str) -> Done:
    """Run Python in a folder, with the package of this checkout."""
    return run([str(python), *arguments], folder, PYTHONPATH=os.fspath(_ROOT))


def spans_of(name: str) -> Any:
    return json.loads((_GOLDEN / f"{name}.spans.json").read_text(encoding="utf-8"))


def test_there_is_no_host(python: Path, tmp_path: Path) -> None:
    """Or the tests below would prove nothing."""
    code = "from runlog_otel.hosts.installed import installed; print(installed())"
    assert called(python, tmp_path, "-c", code).succeeded().output == "None\n"


def test_every_module_but_the_hosts_imports(python: Path, tmp_path: Path) -> None:
    """Whatever does not need a host does not ask for one."""
    assert int(called(python, tmp_path, "-c", _IMPORT_ALL).succeeded().output) > 50


@pytest.mark.parametrize("name", ["retried", "magnus-regions"])
def test_a_run_log_in_a_file_is_shown_and_exported(python: Path, tmp_path: Path, name: str) -> None:
    """Of either host: the same spans as with the host."""
    path = str(_GOLDEN / f"{name}.log.json")
    shown = called(python, tmp_path, "-m", "runlog_otel", "show", path, "--json").succeeded().output
    assert json.loads(shown) == spans_of(name)
    endpoint = (tmp_path / "spans.jsonl").as_uri()
    called(python, tmp_path, "-m", "runlog_otel", "export", path, "--endpoint", endpoint).succeeded()
    exported = (tmp_path / "spans.jsonl").read_text(encoding="utf-8")
    assert all(span["span_id"] in exported for execution in spans_of(name)["executions"] for span in execution["spans"])


@pytest.mark.parametrize("name", ["demo", "magnus-again"])
def test_a_run_log_in_a_database_is_mapped(python: Path, tmp_path: Path, name: str) -> None:
    """A SQL store of either host is read without it."""
    log = json.loads((_GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))
    url = f"sqlite:///{tmp_path}/runs.db"
    database = Database(url)
    SqlStore(database).put(log)
    database.close()
    shown = called(python, tmp_path, "-m", "runlog_otel", "show", "--json", "--source", url, log["run_id"]).succeeded()
    assert json.loads(shown.output) == spans_of(name)


def test_files_and_databases_are_served(python: Path, tmp_path: Path) -> None:
    """What `serve` does at each look, it does without a host."""
    database = Database(f"sqlite:///{tmp_path}/runs.db")
    for name in ("demo", "magnus-again"):
        SqlStore(database).put(json.loads((_GOLDEN / f"{name}.log.json").read_text(encoding="utf-8")))
    database.close()
    counted = called(python, tmp_path, "-c", _SERVE, f"sqlite:///{tmp_path}/runs.db", str(_GOLDEN / "retried.log.json"))
    assert counted.succeeded().output == "True [3]\n"


@pytest.mark.parametrize(
    "arguments", [["show", "some-run"], ["runs"], ["demo"], ["check", "-c", "config.yaml"], ["db", "stats"]]
)
def test_what_needs_a_host_says_so(python: Path, tmp_path: Path, arguments: list[str]) -> None:
    """In one line, and what to install."""
    done = called(python, tmp_path, "-m", "runlog_otel", *arguments)
    assert (done.returncode, done.output.count("\n")) == (2, 1)
    assert "needs a library that is not installed: pip install 'runlog-otel[runnable]'" in done.output
