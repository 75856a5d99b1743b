"""Real pipelines of magnus are in a real Jaeger what their run logs say."""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.oracle import Oracle, span_id, trace_id
from tests.e2e.told import Document, Shown, Told, differences, outside, tag, told_by_jaeger
from tests.hosts.magnus.project import CHUNKED, FILE_SYSTEM, SQL, MagnusProject
from tests.hosts.project import run
from tests.peers.jaeger import Jaeger

STORES = {"file-system": FILE_SYSTEM, "chunked-fs": CHUNKED, "sql": SQL}
VERSIONED = "file-system"
"""The store of the project that is under version control."""
PAGES = "https://git.example/team/pipelines"
REMOTE = f"{PAGES}.git"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

TREES = {
    "sequential": """
        RUN sequential: success
          load: success
          say hello: success
          later: success
    """,
    "failing": """
        RUN failing: failure
          load: success
          publish: failure
    """,
    "failing_shell": """
        RUN failing_shell: failure
          break: failure
    """,
    "recovery": """
        RUN recovery: success
          publish: failure
          clean up: success
    """,
    "regions": """
        RUN regions: success
          load: success
          each region: success
            each region/iteration: success
              clean: success
              check: success
            each region/iteration: success
              clean: success
              check: success
    """,
    "failing_regions": """
        RUN regions: failure
          load: success
          each region: failure
            each region/iteration: success
              clean: success
              check: success
            each region/iteration: failure
              clean: failure
    """,
    "side_by_side": """
        RUN side_by_side: success
          both: success
            both/left: success
              work: success
            both/right: success
              work: success
    """,
    "nested": """
        RUN nested: success
          load: success
          Dag: success
            Dag/dag: success
              both: success
                both/one: success
                  work: success
                both/two: success
                  work: success
              rest: success
    """,
    "mended": """
        RUN mended: failure
          load: success
          both: success
            both/left: success
              work: success
          fragile: failure
    """,
    "again": """
        RUN mended: success
          both: skip
          load: skip
          fragile: success
    """,
    "killed": """
        RUN killed: error
          load: success
          die: error
    """,
    "function": """
        RUN magnus: success
          executing job: success
    """,
    "failing_function": """
        RUN magnus: failure
          executing job: failure
    """,
}


@dataclass
class History:
    """A project in which every pipeline was run."""

    project: MagnusProject
    session: str = field(default_factory=lambda: secrets.token_hex(4))

    def run_id(self, pipeline: str) -> str:
        """The run id of a pipeline: a run's trace id follows from it, and Jaeger has several projects."""
        return f"{pipeline}-{self.session}"

    def record(self, pipeline: str) -> None:
        """Run a pipeline; `again` is the re-run of `mended`, which runs before it."""
        run_id = self.run_id(pipeline)
        if pipeline.endswith("function"):
            self.project.function("tasks.load" if pipeline == "function" else "tasks.boom", run_id)
            return
        variables = {"TRACEPARENT": CALLER} if pipeline == "sequential" else {}
        variables |= {"REGIONS": "north,broken"} if pipeline == "failing_regions" else {}
        if pipeline == "mended":
            self.project.execute("mended", run_id)
            (self.project.folder / "mended").touch()
            again = ("--use-cached", run_id, "--tag", "second")
            self.project.execute("mended", self.run_id("again"), *again).succeeded()
            return
        self.project.execute(pipeline.replace("failing_regions", "regions"), run_id, **variables)


@pytest.fixture(scope="module", params=STORES)
def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, magnus_python: Path, jaeger: Jaeger
) -> History:
    """A project over each store in which every pipeline ran; the run that was killed is closed by hand."""
    folder = tmp_path_factory.mktemp("project")
    project = MagnusProject(folder, magnus_python, STORES[request.param], {"endpoint": jaeger.otlp_http})
    if request.param == VERSIONED:
        _version(folder)
    history = History(project)
    for pipeline in TREES:  # one after the other: magnus writes the console text of a step to a file of the step's name
        if pipeline != "again":
            history.record(pipeline)
    project.command("export", history.run_id("killed"), "--abandoned", "-c", "config.yaml").succeeded()
    return history


def _version(folder: Path) -> None:
    (folder / ".gitignore").write_text("*\n!*.py\n", encoding="utf-8")
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    remote = REMOTE.replace("//", "//somebody:hunter2@")
    for arguments in (["init", "-q"], ["remote", "add", "origin", remote], ["add", "."], ["commit", "-qm", "all"]):
        run(["git", *identity, *arguments], folder).succeeded()


@pytest.mark.parametrize("pipeline", TREES)
def test_a_run_is_in_jaeger_what_its_log_says(history: History, jaeger: Jaeger, pipeline: str) -> None:
    """One trace with the spans, times, results, attributes, events and links of its log; Jaeger warns of nothing."""
    run_id = history.run_id(pipeline)
    expected = told_of(history.project.log(run_id))
    trace = jaeger.wait_for_trace(trace_id(run_id, 1), spans=len(expected.spans))
    actual = told_by_jaeger(trace)
    assert differences(actual, expected) == []
    assert outside(actual) == []
    assert [span["warnings"] for span in trace["spans"] if span["warnings"]] == []
    assert "\n".join(_tree(actual)) == re.sub(r"^ {8}", "", TREES[pipeline], flags=re.MULTILINE).strip()


def test_what_magnus_keeps_on_the_step_is_on_its_attempt(history: History, jaeger: Jaeger) -> None:
    """Metrics, nested and per step of the training; the code that ran."""
    run_id = history.run_id("sequential")
    told = told_by_jaeger(jaeger.wait_for_trace(trace_id(run_id, 1), spans=8))
    tags = told.spans[span_id(run_id, 1, "attempt", "load", 1)].tags
    metrics = {name: value for name, (_, value) in tags.items() if name.startswith("runlog.metric.")}
    assert metrics == {
        "runlog.metric.rows": 3,
        "runlog.metric.quality.mean": 0.5,
        "runlog.metric.quality.label": "fair",
        "runlog.metric.loss.0": 0.5,
        "runlog.metric.loss.1": 0.25,
    }
    if (history.project.folder / ".git").exists():
        assert (tags["vcs.repository.url.full"][1], len(tags["vcs.ref.head.revision"][1])) == (PAGES, 40)


def test_nothing_is_unsent(history: History) -> None:
    """All that ended was acknowledged while it ran."""
    assert history.project.unsent() == []


def told_of(log: Document) -> Told:
    """What Jaeger must show of a run log of magnus, by the oracle of runnable's, and what only magnus has."""
    config, run_id = log["run_config"], log["run_id"]
    pipeline = (config.get("pipeline_file") or "magnus").removesuffix(".yaml")
    told = Oracle(_as_of_runnable(log), pipeline=pipeline).told()
    spans = dict(told.spans)
    root = span_id(run_id, 1, "run")
    own = {
        "runlog.host": tag("magnus"),
        "runlog.run.use_cached": tag(log["use_cached"]),
        **({"runlog.run.original_id": tag(log["original_run_id"])} if log["original_run_id"] else {}),
    }
    original = log["original_run_id"]
    links = {(trace_id(original, 1), span_id(original, 1, "run"))} if original else set()
    spans[root] = replace(spans[root], tags={**spans[root].tags, **own}, links=spans[root].links | links)
    for step in log["steps"].values():
        if step["mock"] and not step["attempts"]:
            path = span_id(run_id, 1, "step", step["internal_name"])
            skipped: Mapping[str, Any] = {"cicd.pipeline.task.run.result": tag("skip")}
            spans[path] = replace(spans[path], tags={**spans[path].tags, **skipped})
    return replace(told, spans=spans)


def _as_of_runnable(log: Document) -> Document:
    """The log as runnable would have written it."""
    config = log["run_config"]
    is_function = config["execution_plan"] == "unchained"
    own = {"pipeline_executor": config["executor"], "pipeline_definition_file": config["pipeline_file"]}
    steps = {path: _step(step) for path, step in log["steps"].items()}
    if is_function:
        steps = {path: {**step, "step_type": "job"} for path, step in steps.items()}
    return {**log, "run_config": {**own, "runlog_otel": config["runlog_otel"]}, "steps": steps}


def _step(step: Document) -> Document:
    metrics = {name: {"value": value} for name, value in step["user_defined_metrics"].items()}
    code = [identity for identity in step["code_identities"] if identity["code_identifier"]]
    attempts = [
        {
            **attempt,
            "message": attempt["message"].replace("somebody:hunter2", "********"),
            "input_parameters": attempt["parameters"],
            "output_parameters": {},
            "retry_indicator": "",
            "user_defined_metrics": metrics,
            "code_identities": code,
        }
        for attempt in step["attempts"]
    ]
    branches = {
        path: {**branch, "steps": {inner: _step(one) for inner, one in branch["steps"].items()}}
        for path, branch in step["branches"].items()
    }
    return {**step, "attempts": attempts, "branches": branches}


def _tree(told: Told, parent: str = "", depth: int = 0) -> Iterator[str]:
    """Runs, steps and branches with their results, in the order of their starts."""
    results = ("cicd.pipeline.result", "cicd.pipeline.task.run.result", "runlog.branch.result")
    children: list[tuple[str, Shown]] = [(own, span) for own, span in told.spans.items() if span.parent == parent]
    for own, span in sorted(children, key=lambda child: (child[1].start, child[1].name)):
        result = next((span.tags[name][1] for name in results if name in span.tags), None)
        if result is not None:
            yield f"{'  ' * depth}{span.name}: {result}"
            yield from _tree(told, own, depth + 1)
