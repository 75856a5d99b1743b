"""Attempts to which a host gives one number: equal values of a map, and a job that a pod runs again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_clocks import assert_replayed, project_of, shown, spans_in
from tests.hosts.magnus.project import CHUNKED, FILE_SYSTEM, SQL, MagnusProject
from tests.hosts.project import EMULATOR, LOCAL

_EXECUTORS = {"local": LOCAL, "emulator": EMULATOR}


@pytest.mark.parametrize(
    ("store", "executor"), [("file-system", "local"), ("chunked-fs", "emulator"), ("sql", "local")]
)
def test_equal_values_of_a_map_are_attempts_of_their_own(tmp_path: Path, store: str, executor: str) -> None:
    """The log keeps those of each iteration, numbered by the host, and what was sent is what it says."""
    project = project_of(tmp_path, store, _EXECUTORS[executor])
    project.run("regions", "equal", REGIONS="north,north,south,north").succeeded()
    spans = assert_replayed(project, "equal").values()
    numbers = [
        {attribute["key"]: attribute["value"] for attribute in span["attributes"]}["runlog.attempt.number"]["intValue"]
        for span in sorted(spans, key=lambda span: int(span["startTimeUnixNano"]))
        if span["name"] == "clean attempt"
    ]
    assert list(map(int, numbers)) == [1, 2, 1, 3]


@pytest.mark.parametrize("store", [FILE_SYSTEM, CHUNKED, SQL], ids=["file-system", "chunked-fs", "sql"])
def test_equal_values_of_a_map_of_magnus_are_numbered(
    tmp_path: Path, magnus_python: Path, store: Mapping[str, Any]
) -> None:
    """magnus gives each attempt the number 1; a second one says that it is."""
    project = MagnusProject(tmp_path, magnus_python, store, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.execute("regions", "equal", REGIONS="north,south,north").succeeded()
    project.command("export", "equal", "-c", "config.yaml", "--endpoint", f"file://{tmp_path}/replay.jsonl").succeeded()
    live, replay = (spans_in(tmp_path / name) for name in ("spans.jsonl", "replay.jsonl"))
    assert replay == live
    clean = sorted(
        (s for s in live.values() if s["name"] == "clean attempt"), key=lambda s: int(s["startTimeUnixNano"])
    )
    repeats = [{a["key"]: a["value"] for a in span["attributes"]}.get("runlog.attempt.repeat") for span in clean]
    assert [repeat and int(repeat["intValue"]) for repeat in repeats] == [None, None, 2]


def test_a_job_that_a_pod_runs_again_is_an_execution_of_its_own(tmp_path: Path) -> None:
    """The first one has ended as a failure and was told so; what a span said is not taken back."""
    project = project_of(tmp_path, "file-system", LOCAL)
    project.run("job", "again", JOB_FAILS="1")
    failed = spans_in(tmp_path / "spans.jsonl")
    project.python("-m", "runnable.cli", "execute-job", "job.main", "again").succeeded()
    live, replay = spans_in(tmp_path / "spans.jsonl"), tmp_path / "replay.jsonl"
    project.export("again", "--endpoint", f"file://{replay}").succeeded()
    assert spans_in(replay) == live
    assert failed.items() < live.items()
    executions = shown(project, "again")["executions"]
    assert [(e["execution"], e["is_complete"], e["spans"][0]["result"]) for e in executions] == [
        (1, True, "failure"),
        (2, True, "success"),
    ]
