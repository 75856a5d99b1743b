"""Where an attempt ran and what it used is in the log of magnus, on the step, with the attempt's index."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core.runlogs.facts import FACTS
from tests.core.logs import facts_of
from tests.hosts.magnus.project import CHUNKED, MagnusProject

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")
MEASURED = {f"runlog.attempt.{name}" for name in ("cpu.time", "memory.peak", "io.read", "io.write")}


def test_each_attempt_with_code_has_facts(tmp_path: Path, magnus_python: Path) -> None:
    """A function and a program of a shell, but not the graph's end."""
    project = MagnusProject(tmp_path, magnus_python, CHUNKED, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.execute("sequential", "r").succeeded()
    steps = project.log("r")["steps"]
    for name in ("load", "say hello"):
        (facts,) = facts_of(steps[name])
        assert set(facts.attributes) >= {"host.name", "process.pid", "cicd.worker.id", "cicd.worker.name", *MEASURED}
        assert facts.attributes["host.name"] == os.uname().nodename
        peak = facts.attributes["runlog.attempt.memory.peak"]
        assert isinstance(peak, int)
        assert peak > 2**20
    assert facts_of(steps["success"])[0].attributes == {}


def test_equal_values_of_a_map_keep_the_facts_of_each(tmp_path: Path, magnus_python: Path) -> None:
    """They share a step, and magnus begins it again for each."""
    project = MagnusProject(tmp_path, magnus_python, CHUNKED, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.execute("regions", "r", REGIONS="north,north").succeeded()
    (step,) = found(project.log("r"), "clean")
    first, second = facts_of(step)
    assert first.attributes.keys() == second.attributes.keys() >= MEASURED
    codes = [code for code in step["code_identities"] if code["code_identifier_type"] == FACTS]
    assert sorted(json.loads(code["code_identifier"])["attempt"] for code in codes) == [0, 1]


def found(graph: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The steps of a name at every depth."""
    steps = [step for step in graph["steps"].values() if step["name"] == name]
    branches = [branch for step in graph["steps"].values() for branch in (step["branches"] or {}).values()]
    return steps + [step for branch in branches for step in found(branch, name)]
