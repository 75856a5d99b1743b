"""Real processes in other time zones, with clocks that differ or are put back: times are true, executions exact."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.project import EMULATOR, LOCAL, LOGS, Done, Project, run

Config = Mapping[str, Any]
STORES: Mapping[str, Config] = {
    "file-system": {"type": "file-system", "config": {"log_folder": LOGS}},
    "chunked-fs": {"type": "chunked-fs", "config": {"log_folder": LOGS}},
    "sql": {"type": "sql", "config": {"connection_string": "sqlite:///runs.db"}},
}
SECOND = 10**9
WINTER_BEGINS = int(datetime(2026, 10, 25, 1, tzinfo=timezone.utc).timestamp())
"""In Berlin clocks are put back then, from 3 to 2."""


def project_of(folder: Path, store: str, executor: Config) -> Project:
    """A project whose spans go to a file."""
    project = Project(folder, store, executor, {"endpoint": f"file://{folder}/spans.jsonl"})
    telemetry = {"inner": STORES[store], "telemetry": project.telemetry}
    project.write_config({"run-log-store": {"type": "otel", "config": telemetry}, "pipeline-executor": executor})
    return project


def spans_in(path: Path) -> dict[str, dict[str, Any]]:
    """The spans in a file of OTLP/JSON, by their ids; one that came twice came alike."""
    spans: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                assert spans.setdefault(span["spanId"], span) == span
    return spans


def assert_replayed(project: Project, run_id: str) -> dict[str, dict[str, Any]]:
    """What was sent live is what the log says, in one trace; the spans."""
    live = spans_in(project.folder / "spans.jsonl")
    replay = project.folder / "replay.jsonl"
    project.export(run_id, "--endpoint", f"file://{replay}", TZ="Pacific/Auckland").succeeded()
    assert spans_in(replay) == live
    assert len({span["traceId"] for span in live.values()}) == 1
    for span in live.values():
        parent = live.get(span.get("parentSpanId", ""), span)
        assert int(parent["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
        assert int(span["endTimeUnixNano"]) <= int(parent["endTimeUnixNano"])
    return live


def shown(project: Project, run_id: str) -> dict[str, Any]:
    """The run as `show --json` has it."""
    done = project.python("-m", "runlog_otel", "show", run_id, "--json", TZ="Pacific/Auckland").succeeded()
    document: dict[str, Any] = json.loads(done.output[done.output.index("{") :])
    return document


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    ("machine", "image"), [("America/New_York", "UTC"), ("Asia/Kolkata", "UTC"), ("UTC", "Asia/Tokyo")]
)
def test_each_process_may_have_a_zone_of_its_own(tmp_path: Path, store: str, machine: str, image: str) -> None:
    """Every time is within the time that the run took, live, on replay, in `runs`, and in a copy made elsewhere."""
    project = project_of(tmp_path, store, EMULATOR)
    began = time.time_ns()
    project.run("clocks", "zones", TZ=machine, STEP_ZONE=image, TRAVELS_TO="Europe/Berlin").succeeded()
    ended = time.time_ns()
    for span in assert_replayed(project, "zones").values():
        assert began <= int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"]) <= ended
    project.python(
        "-m", "runlog_otel", "db", "copy", "--from", "runnable-config.yaml", "--to", "sqlite:///copy.db", TZ="UTC"
    )
    for source in ("runnable-config.yaml", "sqlite:///copy.db"):
        done = project.python("-m", "runlog_otel", "runs", "--source", source, "--json", TZ="UTC").succeeded()
        (listed,) = json.loads(done.output[done.output.index("{") :])["runs"]
        assert began <= listed["started_ns"] < listed["ended_ns"] <= ended


@pytest.mark.parametrize("store", STORES)
def test_a_step_may_change_the_zone_of_its_process(tmp_path: Path, store: str) -> None:
    """What is recorded after `time.tzset()` is in another zone, and times are true."""
    project = project_of(tmp_path, store, LOCAL)
    began = time.time_ns()
    project.run("clocks", "travel", TZ="Asia/Kolkata", TRAVELS_TO="America/New_York").succeeded()
    ended = time.time_ns()
    for span in assert_replayed(project, "travel").values():
        assert began <= int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"]) <= ended


@pytest.mark.parametrize("store", STORES)
def test_summer_time_may_end_in_a_step(tmp_path: Path, store: str, faketime: Callable[[int], list[str]]) -> None:
    """The step lasts as long as it lasted, in one execution that is complete."""
    project = project_of(tmp_path, store, LOCAL)
    command = [*faketime(WINTER_BEGINS - 10 - int(time.time())), sys.executable, "clocks.py"]
    began = time.monotonic()
    run(command, tmp_path, RUNNABLE_RUN_ID="winter", TZ="Europe/Berlin", TILL_WINTER="1").succeeded()
    took = time.monotonic() - began
    spans = {span["name"]: span for span in assert_replayed(project, "winter").values()}
    start, end = (int(spans["wait attempt"][key]) for key in ("startTimeUnixNano", "endTimeUnixNano"))
    assert start < WINTER_BEGINS * SECOND < end
    root = next(span for name, span in spans.items() if name.startswith("RUN "))
    assert int(root["endTimeUnixNano"]) - int(root["startTimeUnixNano"]) < took * SECOND
    assert [execution["is_complete"] for execution in shown(project, "winter")["executions"]] == [True]


def test_pods_may_have_clocks_that_differ(tmp_path: Path, faketime: Callable[[int], list[str]]) -> None:
    """Each node of a run and of its retry in a process whose clock is off: one trace each, and what ended has ended."""
    config = {"defaults": {"image": "none"}, "argoWorkflow": {"metadata": {"generateName": "none"}, "spec": {}}}
    project = project_of(tmp_path, "sql", {"type": "argo", "config": {**config, "pvc_for_runnable": "none"}})

    def node(name: str, skew: int, **variables: str) -> Done:
        arguments = ("execute-single-node", "skewed", "clocks.main", name, "--mode", "python")
        command = [*faketime(skew), sys.executable, "-m", "runnable.cli", *arguments]
        return run(command, tmp_path, TZ="UTC", **variables)

    for name, skew in (("load", 0), ("wait", 3600)):
        node(name, skew).succeeded()
    assert node("travel", -86_400, FAILS="1").returncode == 1
    first = shown(project, "skewed")["executions"]
    assert [(e["execution"], e["is_complete"], e["spans"][0]["result"]) for e in first] == [(1, True, "failure")]
    retry = {"RUNNABLE_RETRY_RUN_ID": "skewed"}
    for name, skew in (("travel", -100_000), ("success", -5)):
        node(name, skew, **retry).succeeded()
    both = shown(project, "skewed")["executions"]
    assert [(e["execution"], e["is_complete"], e["spans"][0]["result"]) for e in both] == [
        (1, True, "failure"),
        (2, True, "success"),
    ]
    assert both[0] == first[0]
    assert any(span["attributes"].get("runlog.clock.is_adjusted") for span in both[0]["spans"])
    live = spans_in(tmp_path / "spans.jsonl")
    assert set(live) == {span["span_id"] for execution in both for span in execution["spans"]}
