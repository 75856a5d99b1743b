"""With the wrapper a host behaves as without it: same outcome, same run log, same store to all who ask."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.notes import attempts_in, taken_notes
from tests.hosts.project import CONFIG, EMULATOR, LOCAL, LOGS, MOCKED, PARALLEL, Done, Project, run_python

HEADER = "runlog_otel"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
ALL = (
    "sequential",
    "failing_python",
    "failing_shell",
    "recovery",
    "choice",
    "side_by_side",
    "regions",
    "repeat",
    "nested",
    "mended",
    "job",
    "streaming",
)
CONFIGURATIONS: dict[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "file-system, local": ("file-system", LOCAL, ALL),
    "chunked-fs, local": ("chunked-fs", LOCAL, ALL),
    "chunked-fs, parallel": ("chunked-fs", PARALLEL, ("side_by_side", "regions", "nested", "mended")),
    "chunked-fs, emulator": ("chunked-fs", EMULATOR, ("sequential", "recovery", "job")),
    "chunked-fs, mocked": ("chunked-fs", MOCKED, ("recovery", "side_by_side", "choice")),
}
CASES = [(configuration, pipeline) for configuration, (_, _, names) in CONFIGURATIONS.items() for pipeline in names]
CANARIES = [
    ("chunked-fs, parallel", "regions"),
    ("chunked-fs, emulator", "sequential"),
    *(("chunked-fs, local", name) for name in ("sequential", "regions", "side_by_side", "mended", "job", "streaming")),
]
"""A map, parallel branches, a retry, a job, an async function; pool workers; a process for each step."""


@dataclass(frozen=True)
class Outcome:
    """What a pipeline leaves behind."""

    returncodes: list[int]
    logs: dict[str, Any]
    printed: list[str]
    """What the pipeline itself prints, and the host's last word."""


def outcome(project: Project, pipeline: str) -> tuple[Outcome, str]:
    """Run a pipeline, and what fails again when its reason is gone; all that was written to the terminal beside it."""
    done: list[Done] = [project.run(pipeline, pipeline)]
    if pipeline == "mended":
        for content in ("in part", "whole"):
            (project.folder / "mended").write_text(content, encoding="utf-8")
            done.append(project.retry(pipeline))
    output = "".join(each.output for each in done)
    printed = [line for line in output.splitlines() if line.startswith(("EVENT", "Pipeline exec"))]
    return Outcome([each.returncode for each in done], without_times(logs_in(project.folder)), printed), output


def logs_in(folder: Path) -> dict[str, Any]:
    """Every document that the host's store wrote in a project."""
    files = sorted((folder / LOGS).rglob("*.json"))
    return {str(path.relative_to(folder)): json.loads(path.read_text(encoding="utf-8")) for path in files}


def without_times(part: Any) -> Any:
    """A document with its times replaced, and nothing else."""
    if isinstance(part, dict):
        return {key: without_times(value) for key, value in part.items()}
    if isinstance(part, list):
        return [without_times(value) for value in part]
    return TIME.sub("<time>", part) if isinstance(part, str) else part


@pytest.mark.parametrize(
    ("configuration", "pipeline"),
    [pytest.param(*case, id=", ".join(case), marks=[pytest.mark.canary] * (case in CANARIES)) for case in CASES],
)
def test_outcome_and_run_log_are_those_without_the_wrapper(tmp_path: Path, configuration: str, pipeline: str) -> None:
    """Exit status, output and every key of every stored document are the same, but for header and attempts' notes."""
    store, executor, _ = CONFIGURATIONS[configuration]
    for name in ("plain", "wrapped"):
        (tmp_path / name).mkdir()
    plain, _ = outcome(Project(tmp_path / "plain", store, executor), pipeline)
    telemetry = {"endpoint": f"file://{tmp_path}/spans.jsonl", "failure_evidence": False}  # test_evidence has the rest
    wrapped, output = outcome(Project(tmp_path / "wrapped", store, executor, telemetry), pipeline)
    headers = [log["run_config"].pop(HEADER, None) for log in wrapped.logs.values() if "run_config" in log]
    noted, recorded = len(taken_notes(wrapped.logs)), attempts_in(plain.logs)
    assert wrapped == plain
    assert json.dumps(wrapped.logs) == json.dumps(plain.logs), "the order of keys differs"
    assert [set(header) - {"retries", "pipeline", "facts", "endings"} for header in headers] == [
        {"created", "traceparent"}
    ]
    assert noted == recorded
    assert "telemetry failed" not in output


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, probe_path: str) -> dict[str, Any]:
    """What a program found that called every method of a wrapper; see `tests/hosts/probe`."""
    code = "import json, runlog_probe as probe; print('FOUND', json.dumps(probe.found()))"
    done = run_python(tmp_path_factory.mktemp("probed"), "-c", code, PYTHONPATH=probe_path).succeeded()
    found: dict[str, Any] = json.loads(done.output.rpartition("FOUND ")[2].splitlines()[0])
    return found


def test_every_public_method_reaches_the_inner_store(probed: dict[str, Any]) -> None:
    """Each method of the installed host's base class arrives as it was called, and its answer is the inner store's."""
    ways = ("positional", "keyword", "disabled")
    missed = [(name, way) for name, ways_of in probed["methods"].items() for way in ways if not ways_of[way]]
    assert missed == []
    assert len(probed["methods"]) >= 20


def test_the_error_of_a_broken_store_comes_out_itself(probed: dict[str, Any]) -> None:
    """Whatever the inner store raises, at each method, is the very object that the host gets."""
    ways = ("error", "error, disabled")
    missed = [(name, way) for name, ways_of in probed["methods"].items() for way in ways if not ways_of[way]]
    assert missed == []


def test_attributes_are_the_inner_stores(probed: dict[str, Any]) -> None:
    """Executors read `service_name` and `supports_parallel_writes`, and set `log_folder`: all on the inner store."""
    assert probed["attributes"] == {
        "before": ["recording", "run_log_store", True, "somewhere"],
        "after": ["elsewhere", "elsewhere", "renamed", "renamed"],
        "own method": "greetings from renamed",
        "missing": "'RecordingStore' object has no attribute 'no_such_attribute'",
        "is a store": True,
        "dumps alike": True,
    }


def test_a_used_wrapper_can_be_copied_and_pickled(probed: dict[str, Any]) -> None:
    """A copy is a wrapper of a store of its own, which works."""
    expected = [True, "chunked-fs", ".run_log_store", "logs of the twin"]
    assert probed["copies"] == {"pickle": expected, "copy": expected}


@pytest.mark.parametrize("method", ["create_run_log", "set_run_config", "add_step_log", "get_parameters"])
def test_a_store_that_breaks_within_a_run_looks_the_same(tmp_path: Path, probe_path: str, method: str) -> None:
    """The host ends with the same status and the same last words when its store fails."""

    def end(name: str, telemetry: dict[str, Any] | None) -> tuple[int, str]:
        (tmp_path / name).mkdir()
        project = Project(tmp_path / name, "watched", LOCAL, telemetry)
        done = project.run("sequential", "r", PYTHONPATH=probe_path, BREAKS=method)
        return done.returncode, done.output.strip().splitlines()[-1]

    plain = end("plain", None)
    assert plain == (1, f"runlog_probe.ProbeError: {method} is broken")
    assert end("wrapped", {"endpoint": f"file://{tmp_path}/spans.jsonl"}) == plain


@pytest.mark.parametrize(
    ("executor", "pipeline", "headers_read"),
    [(LOCAL, "sequential", 0), (PARALLEL, "regions", 0), (EMULATOR, "sequential", 3), (EMULATOR, "mended", 5)],
    ids=["local", "parallel", "emulator", "emulator, retried"],
)
def test_a_step_costs_no_read_of_the_whole_log(
    tmp_path: Path, probe_path: str, executor: Mapping[str, Any], pipeline: str, headers_read: int
) -> None:
    """The wrapper reads the log once at the end of an execution, and its header once in a process of one step."""

    def calls(name: str, telemetry: dict[str, Any] | None) -> Counter[str]:
        (tmp_path / name).mkdir()
        noted = tmp_path / f"{name}.calls"
        project = Project(tmp_path / name, "watched", executor, telemetry)
        variables = {"PYTHONPATH": probe_path, "CALLS": str(noted)}
        project.run(pipeline, "r", **variables)
        if pipeline == "mended":
            (project.folder / "mended").write_text("whole", encoding="utf-8")
            project.retry("r", **variables).succeeded()
        return Counter(noted.read_text(encoding="utf-8").splitlines())

    added = calls("wrapped", {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    added.subtract(calls("plain", None))
    executions = 2 if pipeline == "mended" else 1
    expected = {"get_run_log_by_id of all": executions, "get_run_log_by_id": headers_read}
    assert {name: count for name, count in added.items() if count} == {
        name: count for name, count in expected.items() if count
    }


def test_what_the_host_prints_shows_the_inner_store_and_no_secret(tmp_path: Path) -> None:
    """The context that the host prints and stores names the settings, with the values of headers masked."""
    headers = {"authorization": "Bearer canary-of-a-header", "x-api-key": "canary-of-a-key"}
    endpoint = "http://somebody:canary-of-a-password@127.0.0.1:9"
    telemetry = {"endpoint": endpoint, "headers": headers, "exit_budget_seconds": 0.2}
    project = Project(tmp_path, "chunked-fs", LOCAL, telemetry)
    done = project.run("sequential", "r").succeeded()
    shown = done.output.partition("run_log_store=")[2].partition("pipeline_definition_file")[0]
    assert "ChunkedFileSystemRunLogStore(" in shown
    assert "x-api-key" in shown
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != CONFIG]
    assert [text for text in [done.output.encode(), *written] if b"canary" in text] == []
