"""A failed run says what is not as it was when its pipeline succeeded last."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Backend, backend, healthy
from tests.hosts.project import EMULATOR, LOCAL, Project, run

CHANGES = "runlog.changes"


def configured(folder: Path, url: str, executor: Any) -> Project:
    """A project under version control with a SQL store."""
    project = Project(folder, "chunked-fs", executor)
    inner = {"type": "sql", "config": {"connection_string": f"sqlite:///{folder}/runs.db"}}
    telemetry = {"endpoint": url, "exit_budget_seconds": 60}  # the machine may be busy
    store = {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}}
    project.write_config({"run-log-store": store, "pipeline-executor": executor})
    return project


def told(server: Backend, run_id: str) -> list[dict[str, Any]]:
    """What the root of a run says of changes; the root may have come twice, alike."""
    (root,) = {span.content: span for span in server.spans_of(run_id) if span.name.startswith("RUN ")}.values()
    return [
        {
            attribute.key.removeprefix(f"{CHANGES}."): attribute.value.string_value
            or [value.string_value for value in attribute.value.array_value.values]
            for attribute in event.attributes
        }
        for event in root.span.events
        if event.name == CHANGES
    ]


@pytest.mark.parametrize("executor", [LOCAL, EMULATOR], ids=["local", "emulator"])
def test_a_failed_run_tells_what_changed_since_the_last_success(tmp_path: Path, executor: Any) -> None:
    """Revision, parameters and files with other content, by name; the same at a replay after that success is gone."""
    with backend(healthy) as server:
        project = configured(tmp_path, server.url, executor)
        before = project.version("https://example.org/x.git")
        assert project.run("drifting", "lost", RATE="0.9").returncode == 1
        project.run("drifting", "good").succeeded()
        (tmp_path / "drifting.py").write_text((tmp_path / "drifting.py").read_text() + "# more\n", encoding="utf-8")
        run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "more"], tmp_path).succeeded()
        after = run(["git", "rev-parse", "HEAD"], tmp_path).succeeded().output.strip()
        assert project.run("drifting", "bad", RATE="0.9", ROWS="other rows").returncode == 1
        expected = {"since": "good", "parameters": ["rate"], "files": ["rows.txt"]}
        assert (told(server, "lost"), told(server, "good")) == ([], [])
        (changes,) = told(server, "bad")
        revisions = (changes.pop("revision_before"), changes.pop("revision"))
        assert changes == expected
        assert [revision.rstrip("+") for revision in revisions] == [before, after]
        live = server.spans_of("bad")
        project.python("-m", "runlog_otel", "db", "delete", "good", "--yes").succeeded()
        project.run("drifting", "later").succeeded()
        project.export("bad").succeeded()
        assert server.spans_of("bad") == live
        shown = project.python("-m", "runlog_otel", "show", "bad").succeeded().output
    line = f"since good succeeded: revision {revisions[0]} → {revisions[1]}; parameters rate; files rows.txt"
    assert line in shown.splitlines()


def test_a_store_that_cannot_tell_is_not_asked(tmp_path: Path) -> None:
    """Over a file store a failed run says nothing of changes, and nothing goes wrong."""
    with backend(healthy) as server:
        project = Project(tmp_path, "chunked-fs", LOCAL, {"endpoint": server.url})
        project.run("drifting", "good").succeeded()
        done = project.run("drifting", "bad", RATE="0.9")
        assert told(server, "bad") == []
    assert "telemetry failed" not in done.output
