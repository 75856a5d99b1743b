"""A process that runs pipelines serves their metrics itself."""

import socket
from pathlib import Path

import pytest

from tests.hosts.project import LOCAL, PARALLEL, Project
from tests.peers.loopback import HOST, free_ports

_PROGRAM = """\
import contextvars, os, urllib.request
import regions
for name in "ab":
    os.environ["RUNNABLE_RUN_ID"] = name
    contextvars.Context().run(regions.main)  # within one context, the host runs one pipeline
print("SCRAPED", urllib.request.urlopen("http://{address}/metrics").read().decode())
"""


@pytest.mark.parametrize("executor", [LOCAL, PARALLEL], ids=["local", "parallel"])
def test_a_process_serves_the_runs_that_it_ended(tmp_path: Path, executor: dict[str, object]) -> None:
    """Two runs in one process, pool workers or not: both are counted."""
    address = f"{HOST}:{free_ports(1)[0]}"
    telemetry = {"endpoint": f"file://{tmp_path}/spans", "metrics": {"listen": address}}
    project = Project(tmp_path, "chunked-fs", executor, telemetry)
    done = project.python("-W", "error", "-c", _PROGRAM.format(address=address)).succeeded()
    counted = [line for line in done.output.splitlines() if line.startswith("cicd_pipeline_run_duration_seconds_count")]
    assert sum(float(line.split()[-1]) for line in counted) == 2


def test_an_address_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    """One line says so, and the pipeline goes on; its trace is whole."""
    with socket.create_server((HOST, 0)) as taken:
        address = f"{HOST}:{taken.getsockname()[1]}"
        telemetry = {"endpoint": f"file://{tmp_path}/spans", "metrics": {"listen": address}}
        done = Project(tmp_path, "chunked-fs", LOCAL, telemetry).run("sequential", "r").succeeded()
    assert done.output.count("telemetry failed, the pipeline goes on") == 1
    assert "RUN sequential.main" in (tmp_path / "spans").read_text(encoding="utf-8")
