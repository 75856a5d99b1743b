"""Where attempts ran and what they used is exported from the log: a replay on another machine sends the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.project import PARALLEL, Project, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")
STEPS = {"alone", "shell", "light", *(f"each.{part}.work" for part in "abcd")}
USED = {f"runlog.attempt.{name}" for name in ("cpu.time", "memory.peak", "io.read", "io.write")}


def spans(path: Path) -> dict[str, set[str]]:
    """The contents that each span id has in a file, with their resource."""
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        for part in json.loads(line)["resourceSpans"]:
            for span in (span for scope in part["scopeSpans"] for span in scope["spans"]):
                found.setdefault(span["spanId"], set()).add(json.dumps([part["resource"], span], sort_keys=True))
    return found


def attributes(content: str) -> dict[str, Any]:
    """The attributes of a span."""
    return {item["key"]: item["value"] for item in json.loads(content)[1]["attributes"]}


def test_a_replay_on_another_machine_sends_what_the_workers_of_a_pool_sent(tmp_path: Path) -> None:
    """Of another name, in another time zone."""
    command = ["unshare", "--uts", *(["--user", "--map-root-user"] if os.getuid() else []), "sh", "-c"]
    if subprocess.run([*command, "hostname elsewhere"], capture_output=True, check=False).returncode:
        pytest.skip("no name space for the name of the host")
    live, replayed = tmp_path / "live.jsonl", tmp_path / "replayed.jsonl"
    project = Project(tmp_path / "project", "chunked-fs", PARALLEL, {"endpoint": f"file://{live}"})
    project.run("heavy", "r", RUNNABLE_BURDEN="0.1,8,1").succeeded()
    script = f"hostname elsewhere && exec {sys.executable} -m runlog_otel export r --endpoint file://{replayed}"
    subprocess.run([*command, script], cwd=project.folder, env=environment(TZ="Asia/Tokyo"), check=True)
    sent = spans(live)
    assert spans(replayed) == sent
    assert {len(contents) for contents in sent.values()} == {1}
    found = [attributes(content) for contents in sent.values() for content in contents]
    attempts = {each["runlog.step.path"]["stringValue"]: each for each in found if each.keys() >= USED}
    assert attempts.keys() == STEPS
    for path, each in attempts.items():
        assert each["host.name"] == {"stringValue": os.uname().nodename}, path
        assert each["cicd.worker.id"]["stringValue"] == f"{os.uname().nodename}:{each['process.pid']['intValue']}"
        assert int(each["runlog.attempt.memory.peak"]["intValue"]) > 8 * 2**20
