"""What started a run, by what the environment of its process says."""

import getpass
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runlog_otel.live.trigger import trigger_facts

CANARY = "hunter2-canary"
SCRIPT = (
    "import json, sys; from runlog_otel.live.trigger import trigger_facts;"
    "print(json.dumps(trigger_facts({}, is_within_run=False, has_user=False)))"
)
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": f"https://user:{CANARY}@github.example.org",
    "GITHUB_REPOSITORY": "group/tools",
    "GITHUB_RUN_ID": "12",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_TRIGGERING_ACTOR": "mona",
}


def facts(kind: str, name: str = "", url: str = "", user: str = "") -> dict[str, str]:
    named = {"type": kind, "name": name, "url.full": url, "user": user}
    return {f"runlog.trigger.{key}": value for key, value in named.items() if value}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            GITHUB,
            facts("ci", "GitHub Actions", "https://github.example.org/group/tools/actions/runs/12/attempts/2", "mona"),
        ),
        (
            {"GITLAB_CI": "true", "CI_JOB_URL": f"https://ci:{CANARY}@g/j/1?{CANARY}", "GITLAB_USER_LOGIN": "mona"},
            facts("ci", "GitLab CI", "https://g/j/1", "mona"),
        ),
        (
            {
                "TF_BUILD": "True",
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/org/",
                "SYSTEM_TEAMPROJECT": "my project",
                "BUILD_BUILDID": "7",
                "BUILD_REQUESTEDFOR": "Mona L.",
            },
            facts(
                "ci",
                "Azure Pipelines",
                "https://dev.azure.com/org/my%20project/_build/results?buildId=7",
                "Mona L.",
            ),
        ),
        (
            {"CIRCLECI": "true", "CIRCLE_BUILD_URL": "https://circleci.com/gh/o/r/9"},
            facts("ci", "CircleCI", "https://circleci.com/gh/o/r/9"),
        ),
        (
            {"BUILDKITE": "true", "BUILDKITE_BUILD_URL": "https://buildkite.com/o/p/builds/9", "BUILDKITE_JOB_ID": "a"},
            facts("ci", "Buildkite", "https://buildkite.com/o/p/builds/9#a"),
        ),
        (
            {"JENKINS_URL": "https://j/", "BUILD_NUMBER": "1", "BUILD_URL": f"https://u:{CANARY}@j/job/x/1/"},
            facts("ci", "Jenkins", "https://j/job/x/1/"),
        ),
        ({"GITHUB_ACTIONS": "true"}, facts("ci", "GitHub Actions")),
    ],
    ids=lambda value: value.get("runlog.trigger.name", "") if isinstance(value, dict) else "",
)
def test_a_ci_job_is_named_with_its_page(variables: dict[str, str], expected: dict[str, str]) -> None:
    """Its page has an address without credentials; who started it is told if that is asked for."""
    assert trigger_facts(variables, is_within_run=False, has_user=True) == expected
    without_user = {key: value for key, value in expected.items() if key != "runlog.trigger.user"}
    assert trigger_facts(variables, is_within_run=False, has_user=False) == without_user


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "schedule", "GITHUB_TRIGGERING_ACTOR": "x"}, "GitHub Actions"),
        ({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "schedule"}, "GitLab CI"),
        ({"TF_BUILD": "True", "BUILD_REASON": "Schedule"}, "Azure Pipelines"),
        ({"BUILDKITE": "true", "BUILDKITE_SOURCE": "schedule"}, "Buildkite"),
        ({"TRIGGER_UNIT": "nightly.timer", "INVOCATION_ID": "0" * 32}, "systemd"),
        ({"ARGO_NODE_ID": "nightly-1764288000-2345"}, "Argo Workflows"),
    ],
)
def test_a_schedule_is_recognised(variables: dict[str, str], name: str) -> None:
    """Nobody started the run, whatever name the variables give."""
    assert trigger_facts(variables, is_within_run=False, has_user=True) == facts("schedule", name)


def test_a_run_that_a_step_started_was_started_by_that_run() -> None:
    """Also within a CI job, which started the other run."""
    assert trigger_facts(GITHUB, is_within_run=True, has_user=True) == facts("run")


@pytest.mark.parametrize(
    "variables",
    [
        {"JENKINS_URL": "https://j/"},
        {"TRIGGER_UNIT": "request.path"},
        {"INVOCATION_ID": "0" * 32},
        {"ARGO_NODE_ID": "train-x7k2p-2345"},
        {"ARGO_NODE_ID": "train-1764288001-2345"},
    ],
    ids=str,
)
def test_what_is_not_certain_is_not_told(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that also exist elsewhere; the account's name is told if that is asked for."""
    monkeypatch.setattr(os, "isatty", lambda _: False)
    assert trigger_facts(variables, is_within_run=False, has_user=False) == {}
    assert trigger_facts(variables, is_within_run=False, has_user=True) == facts("", user=getpass.getuser())


def test_a_process_with_a_terminal_was_started_by_a_person() -> None:
    """Without one, nobody knows."""
    ours, its = pty.openpty()
    command = [sys.executable, "-c", SCRIPT]
    with_one = subprocess.run(command, stdin=its, capture_output=True, check=True).stdout
    without = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    os.close(ours)
    os.close(its)
    assert (json.loads(with_one), json.loads(without)) == (facts("user"), {})


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_descendant_of_cron_was_scheduled(tmp_path: Path) -> None:
    """Whatever shells and scripts are between them."""
    crond = tmp_path / "crond"
    shutil.copy("/bin/sh", crond)
    script = tmp_path / "job.sh"
    script.write_text(f"{sys.executable} -c '{SCRIPT}'\ntrue\n", encoding="utf-8")
    command = [str(crond), "-c", f"/bin/sh {script}; true"]
    output = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    assert json.loads(output) == facts("schedule", "cron")
