"""Sampling by the run id: a share of the runs as they go, what failed or was slow whole, nothing half."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core.sampling import is_sampled
from tests.e2e.backend import Sent, backend, healthy
from tests.e2e.programs import FAILED_EACH, SAMPLED_RUNS, SLOW_EACH
from tests.e2e.test_processes import run_program
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project

SHARE = 0.1
WHOLE = {"RUN program", "START program", "first", "first attempt", "second", "second attempt"}
KEPT = next(name for name in map("r{}".format, range(1000)) if is_sampled(name, SHARE))
LEFT = next(name for name in map("r{}".format, range(1000)) if not is_sampled(name, SHARE))


def test_a_tenth_of_many_runs_is_sent_and_every_failure_whole(tmp_path: Path) -> None:
    """Of 2,000 runs every failed one and every slow one arrives, a tenth of the rest, and each of them whole, once."""
    with backend(healthy) as server:
        run_program(tmp_path, "sampled", server.url).succeeded()
        sent = server.acknowledged
    names: dict[str, Counter[str]] = {}
    for span in sent:
        names.setdefault(span.run_id, Counter())[span.name] += 1
    assert [run for run, found in names.items() if found != Counter(WHOLE)] == []
    notable = {f"run-{n}" for n in range(SAMPLED_RUNS) if n % FAILED_EACH == 0 or n % SLOW_EACH == 0}
    rest = {f"run-{n}" for n in range(SAMPLED_RUNS)} - notable
    assert notable - set(names) == set()
    assert {run for run in rest if is_sampled(run, SHARE)} == rest & set(names)
    assert 0.08 < len(rest & set(names)) / len(rest) < 0.12
    assert not (tmp_path / ".runlog-otel").exists()


@pytest.mark.parametrize("executor", [LOCAL, PARALLEL, EMULATOR], ids=["local", "parallel", "emulator"])
def test_all_processes_and_replays_of_a_run_agree(tmp_path: Path, executor: Mapping[str, Any]) -> None:
    """A run that is not sampled is not sent, nor by `export --all`; one that failed is, with the bytes of a replay."""
    with backend(healthy) as server:
        telemetry = {"endpoint": server.url, "sample": SHARE, "exit_budget_seconds": 60.0}

        def told(name: str, run_id: str, **variables: str) -> tuple[set[Sent], set[Sent], set[Sent]]:
            """What arrived of a run live, after `export --all`, and after it was exported by its name."""
            (tmp_path / name).mkdir()
            project = Project(tmp_path / name, "chunked-fs", executor, telemetry)
            server.acknowledged.clear()
            project.run("regions", run_id, **variables)
            live = server.spans_of(run_id)
            project.export("--all").succeeded()
            replayed = server.spans_of(run_id)
            project.export(run_id).succeeded()
            return live, replayed, server.spans_of(run_id)

        left = told("left", LEFT)
        assert left[:2] == (set(), set())
        assert len(left[2]) > 10
        for name, run_id, variables in (("failed", LEFT, {"REGIONS": "north,broken"}), ("kept", KEPT, {})):
            live, replayed, named = told(name, run_id, **variables)
            assert live == replayed == named
            assert len(live) > 10


def test_a_run_that_the_host_broke_off_is_sent_whole(tmp_path: Path) -> None:
    """When the host raises, a run that is not sampled has failed: its ending is noted, and a replay sends the same."""
    with backend(healthy) as server:
        project = Project(tmp_path, "chunked-fs", LOCAL, {"endpoint": server.url, "sample": SHARE})
        (tmp_path / ".catalog").touch()  # where the host makes a folder
        assert project.run("sequential", LEFT).returncode == 1
        live = server.spans_of(LEFT)
        assert "RUN sequential.main" in {span.name for span in live}
        assert project.unsent() == []
        project.export(LEFT).succeeded()
        assert server.spans_of(LEFT) == live
