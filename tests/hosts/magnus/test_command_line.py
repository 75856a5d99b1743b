"""The command line where magnus is installed: its config file, its stores."""

import json
from pathlib import Path

import pytest

from runlog_otel.core import identity
from tests.hosts.magnus.project import CHUNKED, CONFIG, FILE_SYSTEM, SQL, MagnusProject, spans_in


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, magnus_python: Path) -> MagnusProject:
    """A project with a run in its SQL store that failed, and another config over files with a run of its own."""
    folder = tmp_path_factory.mktemp("project")
    for name, store in (("files.yaml", CHUNKED), (CONFIG, SQL)):
        made = MagnusProject(folder, magnus_python, store, {"endpoint": (folder / "spans.jsonl").as_uri()})
        made.execute("failing" if store is SQL else "nested", "sql-run" if store is SQL else "file-run")
        (folder / CONFIG).rename(folder / name)
    return made


def test_a_run_is_shown(project: MagnusProject) -> None:
    """With its times, its results and what was said of the failure."""
    shown = project.command("show", "sql-run", "-c", CONFIG).succeeded().output
    assert [line.split()[0] for line in shown.splitlines()[:4]] == ["sql-run", "RUN", "load", "publish"]
    assert "the mirror postgresql://********@db/runs is d" in shown
    found = json.loads(project.command("show", "file-run", "-c", "files.yaml", "--json").succeeded().output)
    assert (found["pipeline"], found["status"], len(found["executions"][0]["spans"])) == ("nested", "SUCCESS", 15)


def test_the_config_and_the_store_are_checked(project: MagnusProject) -> None:
    """By the key that magnus's config has."""
    lines = project.command("check", "-c", CONFIG).succeeded().output.splitlines()
    assert lines[-5:] == [
        "ok  config: config.yaml",
        "ok  wrapper: run_log_store is of type otel",
        "ok  store: sql store sqlite:///runs.db: 1 runs",
        f"ok  endpoint: {(project.folder / 'spans.jsonl').as_uri()} acknowledges",
        "ok  outbox: nothing is unsent",
    ]


def test_a_run_is_exported_again_with_the_same_ids(project: MagnusProject) -> None:
    """What was sent while it ran, and what its log says later, are one trace."""
    again = project.folder / "again.jsonl"
    for run_id, config in (("sql-run", CONFIG), ("file-run", "files.yaml")):
        project.command("export", run_id, "-c", config, "--endpoint", again.as_uri()).succeeded()
    assert spans_in(again) == spans_in(project.folder / "spans.jsonl")
    printed = project.command("trace-id", "sql-run", "-c", CONFIG).succeeded().output.strip()
    assert printed == identity.trace_id("", "sql-run", 1).hex()


def test_runs_are_listed_and_moved_between_stores(project: MagnusProject) -> None:
    """From magnus's chunked store into ours and into its file-system store, each read back and compared."""
    for name, store in (
        ("moved.yaml", {"type": "sql", "config": {"connection_string": "sqlite:///moved.db"}}),
        ("moved-files.yaml", {**FILE_SYSTEM, "config": {"log_folder": "moved"}}),
    ):
        (project.folder / name).write_text(json.dumps({"run_log_store": store}))
    for source, to in (("files.yaml", "moved.yaml"), ("moved.yaml", "moved-files.yaml")):
        counts = json.loads(project.command("db", "copy", "--from", source, "--to", to, "--json").succeeded().output)
        assert counts == {"copied": 1, "there": 0, "differs": 0, "failed": 0, "problems": []}
    listed = json.loads(project.command("runs", "-c", "moved.yaml", "--json").succeeded().output)["runs"]
    assert [(run["run_id"], run["pipeline"], run["status"]) for run in listed] == [("file-run", "nested", "SUCCESS")]
    stats = json.loads(project.command("db", "stats", "-c", "moved.yaml", "--json").succeeded().output)
    assert (stats["total"], stats["completed"]) == (1, 1)


def test_what_cannot_be_is_one_line(project: MagnusProject) -> None:
    """The demo is a pipeline of runnable; a run, a config file, or what magnus reads in it, may not be there."""
    (project.folder / "older.yaml").write_text(
        "run_log: {type: db, config: {connection_string: 'sqlite:///runs.db'}}\n"
    )
    (project.folder / "bare.yaml").write_text("run_log_store: {type: db}\n")
    for call, told in (
        (["check", "-c", "bare.yaml"], "run_log_store.config.connection_string: Field required"),
        (["demo"], "the demo, a pipeline of runnable, needs a library that is not installed"),
        (["show", "no-such-run", "-c", CONFIG], "run 'no-such-run' is not in sql store sqlite:///runs.db"),
        (["check", "-c", "no-such.yaml"], "no-such.yaml: there is no such file"),
        (["check", "-c", "older.yaml"], "older.yaml: magnus 0.5.1 ignores run_log; it reads run_log_store"),
    ):
        done = project.command(*call)
        assert (done.returncode, done.output.count("\n")) == (2, 1)
        assert done.output.startswith(f"error: {told}")
