"""What the code of real pipelines says of itself is in the log of the right attempt, in every host process."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.core.logs import facts_of
from tests.hosts.project import LOCAL, STORES_AND_EXECUTORS, Project

SAID = {
    "load": "load",
    "each.a.work": "a",
    "each.b.work": "b",
    "both.left.work": "left",
    "both.right.work": "right",
    "shell": "shell",
    "last": "last",
}
EXAMPLE = Path(__file__).parents[2] / "examples" / "annotated.py"
_WHOLE = """
import json, sys
from runlog_otel.cli.loading import project
print(json.dumps(project("").host.document(sys.argv[1])))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the host needs POSIX")


def steps(graph: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The path of each step with code, at every depth."""
    for path, step in graph["steps"].items():
        if step["step_type"] == "task":
            yield path, step
        for branch in step["branches"].values():
            yield from steps(branch)


def project_with(folder: Path, store: str, executor: Mapping[str, Any]) -> Project:
    """A project with the wrapper; `sql` is our own store."""
    telemetry = {"endpoint": f"file://{folder}/spans.jsonl"}
    project = Project(folder, store, executor, telemetry)
    if store == "sql":
        inner = {"type": "sql", "config": {"connection_string": "sqlite:///runs.db"}}
        wrapped = {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}}
        project.write_config({"run-log-store": wrapped, "pipeline-executor": executor})
    return project


def attempts_sent(path: Path) -> dict[str, Any]:
    """The spans of attempts in a file of OTLP/JSON, by their ids; a span that came twice came the same."""
    spans: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                if span["name"].endswith(" attempt"):
                    assert spans.setdefault(span["spanId"], span) == span
    return spans


@pytest.mark.parametrize(
    ("store", "executor"),
    STORES_AND_EXECUTORS,
)
def test_each_attempt_has_what_its_code_said(tmp_path: Path, store: str, executor: Mapping[str, Any]) -> None:
    """Calls, spans, threads, processes, programs and shells, in pool workers and in a process for each step."""
    project = project_with(tmp_path, store, executor)
    done = project.run("annotated", "r")
    assert (done.returncode != 0, "telemetry failed" in done.output) == (True, False), done.output
    log = json.loads(project.python("-c", _WHOLE, "r").succeeded().output.splitlines()[-1])
    facts = {path: facts_of(step)[0] for path, step in steps(log)}
    assert {path: each.annotations["said"] for path, each in facts.items()} == SAID
    others = {f"in_{name}": name for name in ("thread", "worker", "program")}
    assert facts["load"].annotations == {"said": "load", "rows": 123, "app.rows": 123, **others}
    assert [(event.name, event.attributes) for event in facts["load"].events] == [("checkpoint", {"epoch": 3})]
    (handled,) = facts["last"].events
    assert (handled.name, handled.attributes["exception.message"]) == ("exception", "handled")
    assert dict(steps(log))["last"]["attempts"][0]["message"].startswith("ValueError: the reason\n")
    project.export("r", "--endpoint", f"file://{tmp_path}/again.jsonl", TZ="Asia/Tokyo").succeeded()
    live, again = attempts_sent(tmp_path / "spans.jsonl"), attempts_sent(tmp_path / "again.jsonl")
    assert (live, len(live)) == (again, len(SAID))
    assert sum('"said"' in json.dumps(span) for span in live.values()) == len(SAID)


def test_steps_in_one_event_loop_have_what_each_said(tmp_path: Path) -> None:
    """Two pipelines at the same time, and the threads that their steps start."""
    project = project_with(tmp_path, "file-system", LOCAL)
    project.run("annotated_async", "", RUNS="first,second").succeeded()
    for run_id in ("first", "second"):
        (facts,) = facts_of(project.log(run_id)["steps"]["step"])
        assert facts.annotations == {"said": run_id}
        assert [(event.name, event.attributes) for event in facts.events] == [("said", {"run": run_id})]


@pytest.mark.parametrize("has_wrapper", [True, False], ids=["wrapped", "plain"])
def test_the_example_runs_with_the_wrapper_and_without(tmp_path: Path, has_wrapper: bool) -> None:
    """Without it, nobody listens."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": f"file://{tmp_path}/s"} if has_wrapper else None)
    shutil.copy(EXAMPLE, tmp_path / "example.py")
    project.run("example", "r").succeeded()
    log = project.log("r")
    annotations = {path: dict(facts_of(step)[0].annotations) for path, step in steps(log)}
    said = {"load": {"rows": 1200, "source": "warehouse"}, "train": {"app.loss": 0.125}, "publish": {"files": 3}}
    assert annotations == {step: values if has_wrapper else {} for step, values in said.items()}


def test_a_job_says_it_too(tmp_path: Path) -> None:
    """It has no graph."""
    project = project_with(tmp_path, "file-system", LOCAL)
    (tmp_path / "job.py").write_text(
        "import runlog_otel\n"
        "from runnable import PythonJob\n"
        "def work(): runlog_otel.annotate(rows=123)\n"
        "def main():\n"
        "    job = PythonJob(function=work)\n"
        "    job.execute()\n"
        "    return job\n"
        "if __name__ == '__main__': main()\n",
        encoding="utf-8",
    )
    project.run("job", "r").succeeded()
    assert facts_of(project.log("r")["job"])[0].annotations == {"rows": 123}
