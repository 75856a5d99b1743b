"""Whatever the backend does, a pipeline ends as it would without it, in time, and nothing is lost."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.backend import (
    Backend,
    Behaviour,
    answering,
    backend,
    closed,
    dripping_body,
    dripping_headers,
    flaky,
    healthy,
    partial,
    silent,
)
from tests.hosts.project import LOCAL, PARALLEL, Done, Project, RunLog
from tests.hosts.test_invisible import without_times

BUDGET_SECONDS = 1.0
SLACK_SECONDS = 2.0
"""For a machine that does other things too. A stock exporter takes 7 to 30 s."""
BEHAVIOURS: Mapping[str, Behaviour] = {
    "silent": silent,
    "503": answering(503, b"busy"),
    "429": answering(429, Retry_After="30"),
    "400": answering(400, b"bad"),
    "partial-success": partial(),
    "no-otlp": answering(200, b"<html>Welcome</html>"),
    "dripping-headers": dripping_headers,
    "dripping-body": dripping_body,
    "flaky": flaky,
}
BAD = ("closed", "redirect", *BEHAVIOURS)
PIPELINES = {"repeat": LOCAL, "regions": PARALLEL}


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and what is known of it."""

    done: Done
    log: RunLog
    is_unsent: bool


class Story:
    """A project whose pipeline ran once with a healthy backend and once with each bad one, and was then exported."""

    def __init__(self, project: Project, pipeline: str) -> None:
        self.project = project
        self.pipeline = pipeline
        self.runs: dict[str, Ended] = {}
        self.servers: dict[str, Backend] = {}
        self.listed: list[dict[str, Any]] = []
        self.redirected: int | None = None
        """Requests that the target had got before the export."""
        self.exported: Done | None = None
        self.unsent_afterwards: list[RunLog] = []

    def tell(self, target: Backend) -> None:
        """Run it all; `target` is healthy, and where a redirect points to."""
        with ExitStack() as stack:
            urls = {"closed": stack.enter_context(closed())}
            behaviours = {
                **BEHAVIOURS,
                "redirect": answering(308, Location=f"{target.url}/v1/traces"),
                "healthy": healthy,
            }
            for name, behaviour in behaviours.items():
                self.servers[name] = stack.enter_context(backend(behaviour))
                urls[name] = self.servers[name].url
            with ThreadPoolExecutor(2) as pool:
                runs = pool.map(lambda name: self._run(name, urls[name]), urls)
            self.runs = dict(zip(urls, runs, strict=True))
            dry = self.project.export("--unsent", "--dry-run", "--json").succeeded()
            self.listed = json.loads(dry.output)["runs"]
            self.redirected = len(target.requests)
            self.exported = self.project.export("--unsent", "--endpoint", target.url)
            self.unsent_afterwards = self.project.unsent()

    def _run(self, name: str, url: str) -> Ended:
        run_id = f"run-{name}"
        done = self.project.run(self.pipeline, run_id, OTEL_EXPORTER_OTLP_ENDPOINT=url)
        is_unsent = run_id in [marker["run_id"] for marker in self.project.unsent()]
        return Ended(done, self.project.log(run_id), is_unsent)


@pytest.fixture(scope="module", params=PIPELINES)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, Backend]]:
    """A pipeline in one process, and one with pool workers."""
    telemetry = {"exit_budget_seconds": BUDGET_SECONDS}
    executor = PIPELINES[request.param]
    story = Story(Project(tmp_path_factory.mktemp("bad"), "chunked-fs", executor, telemetry), request.param)
    with backend(healthy) as target:
        story.tell(target)
        yield story, target


def same(log: RunLog) -> Any:
    """A run log without what is its own: times, header, run id."""
    document = without_times(json.loads(json.dumps(log).replace(log["run_id"], "RUN")))
    document["run_config"].pop("runlog_otel")
    return document


@pytest.mark.parametrize("name", BAD)
def test_the_pipeline_ends_as_with_a_healthy_backend(story: tuple[Story, Backend], name: str) -> None:
    """Exit status and run log are the same."""
    healthy, bad = story[0].runs["healthy"], story[0].runs[name]
    assert healthy.done.returncode == 0
    assert bad.done.returncode == 0, bad.done.output
    assert same(bad.log) == same(healthy.log)


@pytest.mark.parametrize("name", BAD)
def test_the_process_ends_within_the_budget(story: tuple[Story, Backend], name: str) -> None:
    """The process takes no longer than with a healthy backend and the budget on top of it."""
    runs = story[0].runs
    assert runs[name].done.seconds < runs["healthy"].done.seconds + BUDGET_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("name", BAD)
def test_what_was_not_acknowledged_is_known_and_delivered_later(story: tuple[Story, Backend], name: str) -> None:
    """The run is remembered, listed, and sent whole: as a healthy backend has it, with what was taken before."""
    told, target = story
    assert told.runs[name].is_unsent
    delivered = target.spans_of(f"run-{name}")
    (listed,) = [run for run in told.listed if run["run_id"] == f"run-{name}"]
    assert (listed["spans"], listed["is_complete"]) == (len(delivered), True)
    if name in told.servers:
        assert told.servers[name].spans_of(f"run-{name}") <= delivered
    shape = sorted(span.name for span in told.servers["healthy"].spans_of("run-healthy"))
    assert sorted(span.name for span in delivered) == shape
    ids = {span.span_id for span in delivered}
    assert len(ids) == len(delivered)
    assert [span.name for span in delivered if span.parent not in ids] == [f"RUN {told.pipeline}.main"]


def test_a_healthy_backend_leaves_nothing_unsent(story: tuple[Story, Backend]) -> None:
    """With a healthy backend every span is acknowledged, by requests that are whole, and no run is remembered."""
    told, _ = story
    assert not told.runs["healthy"].is_unsent
    assert {run["run_id"] for run in told.listed} == {f"run-{name}" for name in BAD}
    assert {name: server.broken for name, server in told.servers.items() if server.broken} == {}


def test_the_export_empties_the_outbox(story: tuple[Story, Backend]) -> None:
    """`export --unsent` succeeds once the backend is healthy, and nothing is unsent afterwards."""
    told, target = story
    assert told.exported is not None
    told.exported.succeeded()
    assert told.unsent_afterwards == []
    assert {span.run_id for span in target.acknowledged} == {f"run-{name}" for name in BAD}


def test_a_redirect_is_not_followed(story: tuple[Story, Backend]) -> None:
    """The healthy backend that a 308 points to hears nothing before the export."""
    told, _ = story
    assert told.redirected == 0
    assert told.servers["redirect"].requests != []


@pytest.mark.parametrize("name", ["redirect", "503", "partial-success"])
def test_an_export_to_a_bad_backend_fails_and_keeps_the_run(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """`export --unsent` ends with status 1, says why, and the run stays unsent."""
    behaviour = BEHAVIOURS.get(name, answering(308, Location="http://127.0.0.1:9/v1/traces"))
    project = Project(tmp_path_factory.mktemp("again"), "file-system", LOCAL, {"exit_budget_seconds": 0.2})
    with backend(behaviour) as server:
        assert project.run("failing_shell", "r", OTEL_EXPORTER_OTLP_ENDPOINT=server.url).returncode == 1
        done = project.export("--unsent", "--endpoint", server.url)
    assert done.returncode == 1
    assert "error: r: " in done.output
    assert [marker["run_id"] for marker in project.unsent()] == ["r"]


@pytest.mark.parametrize("name", ["silent", "dripping-body"])
def test_the_default_budget_is_two_seconds(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Without a setting, a process waits two seconds for a backend that never answers, in all."""
    project = Project(tmp_path_factory.mktemp("default"), "chunked-fs", LOCAL, {})
    with backend(healthy) as server:
        baseline = project.run("sequential", "healthy", OTEL_EXPORTER_OTLP_ENDPOINT=server.url).succeeded()
    with backend(BEHAVIOURS[name]) as server:
        done = project.run("sequential", name, OTEL_EXPORTER_OTLP_ENDPOINT=server.url).succeeded()
    assert done.seconds < baseline.seconds + 2.0 + SLACK_SECONDS


def test_a_silent_backend_costs_a_pool_worker_one_wait(tmp_path_factory: pytest.TempPathFactory) -> None:
    """However many tasks a worker of the host's pool runs, it waits for a backend that never answers once."""
    telemetry = {"exit_budget_seconds": BUDGET_SECONDS}
    project = Project(tmp_path_factory.mktemp("pool"), "chunked-fs", PARALLEL, telemetry)
    regions = ",".join(f"r{number}" for number in range(24))
    with backend(healthy) as server:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "REGIONS": regions}
        baseline = project.run("regions", "healthy", **variables).succeeded()
    with backend(silent) as server:
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.url
        done = project.run("regions", "silent", **variables).succeeded()
    assert done.seconds < baseline.seconds + BUDGET_SECONDS + SLACK_SECONDS
    assert [marker["run_id"] for marker in project.unsent()] == ["silent"]
