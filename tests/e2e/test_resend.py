"""`serve` sends the traces that a backend does not have, and closes those of runs that stopped moving."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Backend, backend, healthy, silent
from tests.e2e.oracle import Oracle
from tests.e2e.serving import Serve
from tests.e2e.test_history import Teller
from tests.e2e.told import differences, told_by_otlp
from tests.hosts.project import LOCAL, Project
from tests.peers.process import wait_until

CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def server() -> Iterator[Backend]:
    """A healthy backend."""
    with backend(healthy) as server:
        yield server


def roots(server: Backend) -> list[str]:
    """The runs whose end the backend knows."""
    return [span.run_id for span in server.acknowledged if span.name.startswith("RUN ")]


def test_what_was_not_acknowledged_is_sent(tmp_path: Path, server: Backend, serve: Serve) -> None:
    """The whole tree of the run, and the outbox is empty then."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": CLOSED})
    project.run("sequential", "r").succeeded()
    assert len(project.unsent()) == 1
    serve.start("--endpoint", server.url)
    assert wait_until(lambda: not project.unsent()), serve.output
    assert differences(told_by_otlp(server.acknowledged), Oracle(project.log("r")).told()) == []
    assert wait_until(lambda: serve.value("runlog_exporter_runs_unsent") == 0)
    assert serve.value("otel_sdk_exporter_span_exported_total") == len(server.acknowledged)


def test_a_run_whose_process_was_killed_is_closed(tmp_path: Path, server: Backend, serve: Serve) -> None:
    """Once it did not move for the time that was set: its trace is whole, its result an error."""
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": server.url})
    teller = Teller(project)
    teller.tell("mend")
    teller.tell("kill finish")
    serve.start("--abandoned-after", "1s")
    assert wait_until(lambda: roots(server) == ["r"]), serve.output
    assert differences(told_by_otlp(server.acknowledged), Oracle(project.log("r")).told()) == []
    assert serve.value("cicd_pipeline_run_duration_seconds_count", cicd_pipeline_result="error") == 1
    assert wait_until(lambda: serve.value("cicd_pipeline_run_active") == 0)  # told when the look is over


def test_a_run_that_left_no_outbox_is_sent_when_asked_for(tmp_path: Path, server: Backend, serve: Serve) -> None:
    """As in a pod, whose files went with it; the run that was there before is left alone."""
    elsewhere = {"endpoint": CLOSED, "outbox": "gone with the pod"}
    project = Project(tmp_path, "file-system", LOCAL, elsewhere)
    project.run("sequential", "before").succeeded()
    project.telemetry = {"endpoint": server.url}
    project.configure()
    serve.start("--resend", "all")
    project.telemetry = elsewhere
    project.configure()
    project.run("sequential", "after").succeeded()
    assert wait_until(lambda: bool(roots(server))), serve.output
    assert roots(server) == ["after"]


def test_it_ends_when_it_is_told_to(tmp_path: Path, serve: Serve) -> None:
    """Also while it waits for a backend that does not answer; nothing is forgotten."""
    with backend(silent) as server:
        project = Project(tmp_path, "file-system", LOCAL, {"endpoint": CLOSED, "timeout_seconds": 1000})
        project.run("sequential", "r").succeeded()
        serve.start("--endpoint", server.url)
        serve.end_gently()
    assert "Traceback" not in serve.output
    assert len(project.unsent()) == 1
