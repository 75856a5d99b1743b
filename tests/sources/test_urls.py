"""A source is named by a URL: which ones are known, where their secrets come from, how a new one is added."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import (
    ConfigError,
    MissingExtraError,
    RunLogFormatError,
    RunlogOtelError,
    RunNotFoundError,
    SourceError,
)
from runlog_otel.settings import Settings
from runlog_otel.sources.port import ENTRY_POINTS, RunLogs, RunLogTarget, Source, source_from_url
from tests.core.logs import points_from_run
from tests.hosts.project import LOCAL, Project
from tests.sources.db_logs import golden, rows_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
Url = Callable[[str], str]


def opened(url: str, **environ: str) -> Source:
    return source_from_url(url, Settings(time_zone="UTC"), environ.get)


def log(name: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))
    return document


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the logs of two hosts."""
    made = tmp_path / "run logs"
    made.mkdir()
    for name in ("demo", "magnus-nested"):
        shutil.copy(GOLDEN / f"{name}.log.json", made / f"{log(name)['run_id']}.json")
    return made


@pytest.mark.parametrize("url", [str, Path.as_uri], ids=["path", "URL"])
def test_a_folder_is_a_source(folder: Path, url: Callable[[Path], str]) -> None:
    """Its files are run logs, whichever host wrote them."""
    source = opened(url(folder))
    found = {run.run_id: run.changed_ns for run in source.changes(0)}
    assert found == {path.stem: path.stat().st_mtime_ns for path in folder.iterdir()}
    for name in ("demo", "magnus-nested"):
        assert source.run(str(log(name)["run_id"])) == run_from_log(log(name), "", Settings(time_zone="UTC").zone)
    with pytest.raises(RunNotFoundError):
        source.run("other")
    assert list(source.changes(max(found.values()) + 1)) == []


def test_what_is_no_run_log_in_a_folder_is_passed_over(folder: Path) -> None:
    """Folders, links to nothing, and chunks that are just being deleted."""
    runs = [run.run_id for run in opened(str(folder)).changes(0)]
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to("nowhere")
    (folder / "deleted").mkdir()
    (folder / "deleted" / "RunLog.json").symlink_to("nowhere")
    assert [run.run_id for run in opened(str(folder)).changes(0)] == runs


def test_a_folder_that_went_away_is_said(folder: Path) -> None:
    """A share that is not mounted any more has not become empty."""
    source = opened(str(folder))
    shutil.rmtree(folder)
    with pytest.raises(SourceError, match="run logs: is not there any more"):
        source.changes(0)


def test_one_file_is_a_source(folder: Path) -> None:
    """Of one run."""
    (path,) = folder.glob(f"{log('demo')['run_id']}.json")
    source = opened(path.as_uri())
    assert [run.run_id for run in source.changes(0)] == [log("demo")["run_id"]]
    assert source.run(path.stem).run_id == path.stem
    with pytest.raises(RunNotFoundError):
        source.run("other")


def test_a_chunked_folder_is_a_source(tmp_path: Path) -> None:
    """A real one of runnable, nested, with branches in files of their own, reads as by the host."""
    project = Project(tmp_path, "chunked-fs", LOCAL, None)
    project.run("nested", "r").succeeded()
    printed = project.python("-m", "runlog_otel", "show", "--json", "r").succeeded().output
    by_host = json.loads(printed[printed.index("{") :])
    by_url = project.python("-m", "runlog_otel", "show", "--json", "--source", ".run_log_store", "r").succeeded().output
    assert json.loads(by_url) == by_host


def test_a_chunked_folder_of_magnus_is_a_source(tmp_path: Path) -> None:
    """Steps, branches and parameters are files of their own there, in the order of the moments in their names."""
    wanted = golden("nested")
    folder = tmp_path / str(wanted["run_id"])
    folder.mkdir()
    moment = 1_795_266_291_526_247_064
    for index, (_, kind, key, value) in enumerate(rows_of(wanted)):
        names = {"RunLog": "RunLog", "Parameter": f"Parameter-{key}"}
        chunk = folder / f"{names.get(kind, f'{kind}-{key}-{moment + index}')}.json"
        chunk.write_text(json.dumps({key: value} if kind == "Parameter" else value))
    source = opened(str(tmp_path))
    assert isinstance(source, RunLogs)
    read = source.document(folder.name)
    assert read == wanted
    assert list(read["steps"]) == list(wanted["steps"])
    assert [run.run_id for run in source.changes(0)] == [folder.name]


def test_a_chunk_that_belongs_to_nothing_is_said(tmp_path: Path) -> None:
    """A log of which a part is missing is not told as if it were whole."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "RunLog.json").write_text('{"run_id": "r", "status": "SUCCESS", "steps": {}}')
    (tmp_path / "r" / "BranchLog-a.b.json").write_text('{"internal_name": "a.b", "status": "SUCCESS", "steps": {}}')
    with pytest.raises(RunLogFormatError, match=r"what 'a\.b' belongs to is not there"):
        opened(str(tmp_path)).run("r")


def test_our_store_is_a_source(tmp_path: Path) -> None:
    """By its connection string; another name of its tables stands in the query."""
    source, again = (opened(f"sqlite:///{tmp_path}/runs.db?table=team") for _ in range(2))
    assert isinstance(source, RunLogTarget)
    source.prepare()
    source.put(log("demo"))
    source.put(log("demo"))
    assert [run.run_id for run in again.changes(0)] == [log("demo")["run_id"]]
    assert source.document(str(log("demo")["run_id"])) == log("demo")
    assert (source.size_bytes() or 0) > 0
    other = opened(f"sqlite:///{tmp_path}/runs.db")
    with pytest.raises(RunlogOtelError, match="the tables are not there"):
        list(other.changes(0))
    for each in (source, again, other):
        each.close()


def test_a_url_may_stand_whole_in_a_variable(tmp_path: Path) -> None:
    """With its password, which a command line would show."""
    source = opened("${RUNS}?table=team", RUNS=f"sqlite:///{tmp_path}/runs.db")
    assert source.where == f"sqlite:///{tmp_path}/runs.db, table team"


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        (
            "nosuch:///x",
            ConfigError,
            "--source: nosuch:///x is of an unknown kind; known are constellation, db-log, file",
        ),
        ("mysql://u:hunter2@h/d", ConfigError, "--source: mysql://********@h/d is of an unknown kind"),
        ("/no/such/folder", ConfigError, "--source: there is no folder and no file /no/such/folder"),
        ("postgresql://u:${NOPE}@h/d", ConfigError, "--source: no secret and no environment variable is named NOPE"),
        ("db-log+mysql+pymysql://u:hunter2@h/d", ConfigError, "mysql+pymysql is not supported"),
        ("db-log:runs.db", ConfigError, "db-log:runs.db is no URL of a database"),
        ("db-log+sqlite:///x?table=a-b", ConfigError, "letters, digits and _ only"),
        ("constellation+sqlite:///x?table=a-b", ConfigError, "letters, digits and _ only"),
        ("constellation+http://", ConfigError, "--source: write constellation+http://HOST:PORT"),
        ("constellation+http://h:port", ConfigError, "--source: write constellation+http://HOST:PORT"),
        ("constellation+http://:hunter2/x@h", ConfigError, "and what is filled in percent-encoded"),
        ("constellation+https://hunter2@h", ConfigError, "an API key stands after a colon"),
        ("constellation+http://:hunter2ä@h", ConfigError, "signs of ASCII only"),
        ("constellation+http://:hunter2%0A@h", ConfigError, "signs of ASCII only"),
        ("postgresql://u:a@hunter2@h/d", ConfigError, "in postgresql+psycopg://********@h/d write the @"),
    ],
)
def test_a_url_that_is_wrong_is_said(url: str, kind: type[Exception], message: str) -> None:
    """In one line, without a secret."""
    with pytest.raises(kind) as raised:
        opened(url)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_missing_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that has it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"runlog-otel\[postgres\]"):
        list(opened("postgresql://u@127.0.0.1:1/d").changes(0))


@pytest.mark.parametrize("prefix", ["", "db-log+", "constellation+"])
def test_a_server_that_is_out_of_reach_is_said(prefix: str) -> None:
    """With its address, and without the password."""
    url = f"{prefix}postgresql://u:${{PASSWORD}}@127.0.0.1:1/d"
    source = opened(url, PASSWORD="hunter2")
    with pytest.raises(RunlogOtelError, match="the server cannot be reached") as raised:
        list(source.changes(0))
    assert "hunter2" not in str(raised.value) + source.where
    assert "127.0.0.1:1" in source.where
    source.close()


def test_the_example_of_a_source_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its entry point, and what it reads is listed, mapped and counted."""
    (tmp_path / "journal-1.dist-info").mkdir()
    (tmp_path / "journal-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: journal\nVersion: 1\n")
    (tmp_path / "journal-1.dist-info" / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\njournal = journal_source:source_from_url\n"
    )
    shutil.copy(ROOT / "examples" / "journal_source.py", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = (
        {"id": "nightly-17", "job": "nightly", "start": 1790000100.0, "seconds": 12.5, "error": "disk full"},
        {"id": "nightly-16", "job": "nightly", "start": 1790000000.0, "seconds": 10.0},
    )
    (tmp_path / "jobs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = opened((tmp_path / "jobs.jsonl").as_uri().replace("file:", "journal:"))
    assert [run.run_id for run in source.changes(0)] == ["nightly-16", "nightly-17"]
    results = {
        run_id: [dict(point.labels).get("cicd.pipeline.result") for point in execution.points][:1]
        for run_id in ("nightly-16", "nightly-17")
        for execution in points_from_run(source.run(run_id))
    }
    assert results == {"nightly-16": ["success"], "nightly-17": ["failure"]}
