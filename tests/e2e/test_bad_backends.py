"""Whatever the backend does, a pipeline ends as it would without it, in time, and nothing is lost.

`tests/live/test_bad_backends.py` has every behaviour of a backend; here is what only real processes show.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import BEHAVIOURS, backend, healthy, silent
from tests.hosts.notes import taken_notes
from tests.hosts.project import LOCAL, PARALLEL, Done, Project, RunLog
from tests.hosts.test_invisible import without_times

BUDGET_SECONDS = 1.0
DEFAULT_BUDGET_SECONDS = 2.0
SLACK_SECONDS = 2.0
"""For a machine that does other things too. A stock exporter takes 7 to 30 s."""


def same(log: RunLog) -> Any:
    """A run log without what is its own: times, header, run id, what its attempts used."""
    document = without_times(json.loads(json.dumps(log).replace(log["run_id"], "RUN")))
    document["run_config"].pop("runlog_otel")
    taken_notes(document)
    return document


def unsent(project: Project) -> list[str]:
    """The ids of the runs that the outbox remembers."""
    return sorted(marker["run_id"] for marker in project.unsent())


@pytest.mark.parametrize(
    ("pipeline", "executor", "behaviour"),
    [("repeat", LOCAL, "dripping-body"), ("regions", PARALLEL, "flaky")],
    ids=["one process", "pool workers"],
)
def test_a_pipeline_ends_as_with_a_healthy_backend_and_is_delivered_later(
    tmp_path: Path, pipeline: str, executor: dict[str, Any], behaviour: str
) -> None:
    """Exit status and run log are the same, the process ends within the default budget, `export --unsent` mends it."""
    project = Project(tmp_path, "chunked-fs", executor, {})

    def run(run_id: str, url: str) -> Done:
        return project.run(pipeline, run_id, OTEL_EXPORTER_OTLP_ENDPOINT=url).succeeded()

    with backend(healthy) as target:
        well = run("run-well", target.url)
        assert unsent(project) == []
        with backend(BEHAVIOURS[behaviour]) as server:
            done = run("run-ill", server.url)
        assert unsent(project) == ["run-ill"]
        assert same(project.log("run-ill")) == same(project.log("run-well"))
        assert done.seconds < well.seconds + DEFAULT_BUDGET_SECONDS + SLACK_SECONDS
        project.export("--unsent", "--endpoint", target.url).succeeded()
    assert unsent(project) == []
    delivered = target.spans_of("run-ill")
    assert server.spans_of("run-ill") <= delivered
    assert sorted(span.name for span in delivered) == sorted(span.name for span in target.spans_of("run-well"))
    ids = {span.span_id for span in delivered}
    assert len(ids) == len(delivered)
    assert [span.name for span in delivered if span.parent not in ids] == [f"RUN {pipeline}.main"]


def test_a_silent_backend_costs_a_pool_worker_one_wait(tmp_path: Path) -> None:
    """However many tasks a worker of the host's pool runs, it waits for a backend that never answers once."""
    telemetry = {"exit_budget_seconds": BUDGET_SECONDS}
    project = Project(tmp_path, "chunked-fs", PARALLEL, telemetry)
    regions = ",".join(f"r{number}" for number in range(24))
    with backend(healthy) as server:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "REGIONS": regions}
        baseline = project.run("regions", "healthy", **variables).succeeded()
    with backend(silent) as server:
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.url
        done = project.run("regions", "silent", **variables).succeeded()
    assert done.seconds < baseline.seconds + BUDGET_SECONDS + SLACK_SECONDS
    assert [marker["run_id"] for marker in project.unsent()] == ["silent"]
