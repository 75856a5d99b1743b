"""What is known of a run when it starts: its name, who started it, what is checked out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core.redaction import MASK
from tests.e2e import oracle
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project

SPANS = "spans.jsonl"
CALLER = f"00-{'ab' * 16}-{'cd' * 8}-01"


def project_in(folder: Path, store: str, executor: Mapping[str, Any], **telemetry: Any) -> Project:
    return Project(folder, store, executor, {"endpoint": f"file://{folder}/{SPANS}", **telemetry})


def header_of(project: Project, run_id: str) -> dict[str, Any]:
    header: dict[str, Any] = project.log(run_id)["run_config"]["runlog_otel"]
    return header


def spans_in(folder: Path) -> list[dict[str, Any]]:
    """The spans that were sent to a file, as OTLP/JSON has them."""
    documents = [json.loads(line) for line in (folder / SPANS).read_text(encoding="utf-8").splitlines()]
    return [
        span
        for document in documents
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def listed(project: Project, *arguments: str) -> list[str]:
    """The pipelines of all runs, as `runs` lists them."""
    done = project.python("-m", "runlog_otel", "runs", "--json", *arguments).succeeded()
    return [run["pipeline"] for run in json.loads(done.output)["runs"]]


@pytest.mark.parametrize(
    ("pipeline", "executor", "variables", "name"),
    [
        pytest.param("named", LOCAL, {}, "train", marks=pytest.mark.canary),
        ("named", EMULATOR, {}, "train"),
        ("side_by_side", PARALLEL, {}, "side_by_side.main"),
        ("streaming", LOCAL, {}, "streaming"),
        ("streaming", LOCAL, {"NAME": ""}, "streaming.main"),
        ("job", LOCAL, {}, "job.main"),
    ],
)
def test_a_pipeline_has_the_name_that_the_user_gave(
    tmp_path: Path, pipeline: str, executor: Mapping[str, Any], variables: Mapping[str, str], name: str
) -> None:
    """In its log, in spans and in lists; without one, the name of the function that executes it."""
    project = project_in(tmp_path, "chunked-fs", executor)
    project.run(pipeline, "r", **variables).succeeded()
    roots = [span["name"] for span in spans_in(tmp_path) if span["name"].startswith(("RUN ", "START "))]
    assert sorted(roots) == [f"RUN {name}", f"START {name}"]
    assert listed(project) == [name]


def test_the_setting_names_a_pipeline_before_its_user(tmp_path: Path) -> None:
    """And so it is in the log, where a reader without the setting finds it."""
    project = project_in(tmp_path, "file-system", LOCAL, pipeline="nightly")
    project.run("named", "r").succeeded()
    assert header_of(project, "r")["pipeline"] == "nightly"


def test_a_sql_store_lists_a_pipeline_by_its_name(tmp_path: Path) -> None:
    """A copy of the run, too; what has no name is listed by its host's, as its spans are."""
    project = project_in(tmp_path, "file-system", LOCAL)
    inner = {"type": "sql", "config": {"connection_string": "sqlite:///runs.db"}}
    wrapper = {"type": "otel", "config": {"inner": inner, "telemetry": project.telemetry}}
    project.write_config({"run-log-store": wrapper})
    project.run("named", "r").succeeded()
    project.write_config({"run-log-store": inner})
    project.run("streaming", "unwrapped", NAME="").succeeded()
    urls = ("sqlite:///runs.db", "sqlite:///copy.db")
    project.python("-m", "runlog_otel", "db", "upgrade", "--source", urls[1]).succeeded()
    project.python("-m", "runlog_otel", "db", "copy", "--from", urls[0], "--to", urls[1]).succeeded()
    assert [listed(project, "--source", url) for url in urls] == [["runnable", "train"]] * 2
    assert listed(project, "--pipeline", "train") == ["train"]


def test_a_run_that_a_step_starts_was_started_by_a_run(tmp_path: Path) -> None:
    """It links to the attempt, also from a shell, which gets the host's variables only."""
    project = project_in(tmp_path, "file-system", LOCAL)
    (tmp_path / "mended").touch()
    project.run("named", "r", NESTED="1", TRACEPARENT=CALLER).succeeded()
    assert header_of(project, "r")["traceparent"] == CALLER
    for step in ("python", "shell"):
        header = header_of(project, f"from-{step}")
        attempt = f"00-{oracle.trace_id('r', 1)}-{oracle.span_id('r', 1, 'attempt', step, 1)}-01"
        assert (header["traceparent"], header["facts"]["runlog.trigger.type"]) == (attempt, "run")


def test_without_propagators_there_is_no_caller(tmp_path: Path) -> None:
    """And the code of a step finds what its process was started with."""
    project = project_in(tmp_path, "file-system", LOCAL)
    (tmp_path / "mended").touch()
    project.run("parented", "r", OTEL_PROPAGATORS="none", TRACEPARENT=CALLER).succeeded()
    assert header_of(project, "r")["traceparent"] == ""
    assert (tmp_path / "parents").read_text(encoding="utf-8").split() == [CALLER]


def test_nothing_secret_is_recorded_of_who_started_a_run(tmp_path: Path) -> None:
    """Whatever stands in the variables of a CI job, in a remote's address, in the name of a branch or of a person."""
    token = "ghp_canary0canary1canary2canary3canary4"
    project = project_in(tmp_path, "file-system", LOCAL, trigger_user=True, redact=["canary-[a-z]+"])
    revision = project.version(f"https://somebody:{token}@git.example.org/group/canary-name.git")
    git = tmp_path / ".git"
    (git / "HEAD").write_text(f"ref: refs/heads/fix-{token}\n", encoding="utf-8")
    (git / "refs" / "heads" / f"fix-{token}").write_text(f"{revision}\n", encoding="utf-8")
    variables = {
        "GITLAB_CI": "true",
        "CI_JOB_URL": f"https://somebody:{token}@gitlab.example.org/jobs/1?private_token={token}",
        "GITLAB_USER_LOGIN": f"canary-person {token}",
    }
    project.run("named", "r", **variables).succeeded()
    assert header_of(project, "r")["facts"] == {
        "runlog.trigger.type": "ci",
        "runlog.trigger.name": "GitLab CI",
        "runlog.trigger.url.full": "https://gitlab.example.org/jobs/1",
        "runlog.trigger.user": f"{MASK} {MASK}",
        "vcs.ref.head.name": f"fix-{MASK}",
        "vcs.ref.type": "branch",
        "vcs.repository.name": MASK,
    }
    assert "canary" not in (tmp_path / SPANS).read_text(encoding="utf-8")
