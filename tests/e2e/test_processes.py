"""Pools, forks and thousands of spans: each span arrives once, whole, under the id that was computed for it."""

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e import oracle
from tests.e2e.backend import backend, closed, healthy, silent
from tests.e2e.programs import ATTEMPTS, CHILDREN, MANY, RUN, TASKS
from tests.hosts.project import Done, run_python

ROOT = Path(__file__).parents[2]


def run_program(folder: Path, *arguments: str) -> Done:
    """Run one of the programs, with warnings as errors."""
    return run_python(folder, "-W", "error", "-m", "tests.e2e.programs", *arguments, PYTHONPATH=str(ROOT))


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.canary)])
def test_every_attempt_of_a_pool_is_sent_and_has_its_parent(tmp_path: Path, method: str) -> None:
    """Workers that end after one task send their attempts in time, with ids that no seed changes."""
    with backend(healthy) as server:
        run_program(tmp_path, "pool", server.url, method).succeeded()
        spans = server.acknowledged
    attempts = [span for span in spans if span.name == "work attempt"]
    expected = {oracle.span_id(RUN, 1, "attempt", f"mp.{number}.work", 1) for number in range(TASKS)}
    assert {span.span_id for span in attempts} == expected
    assert {span.trace_id for span in spans} == {oracle.trace_id(RUN, 1)}
    assert [name for name, count in Counter(span.span_id for span in spans).items() if count > 1] == []
    assert len(spans) == 3 + 3 * TASKS  # run, start marker and map; branch, step and attempt of each iteration
    ids = {span.span_id for span in spans}
    assert [span.name for span in spans if span.parent not in ids] == ["RUN program"]


@pytest.mark.parametrize("program", ["processes", "forks"])
def test_forked_children_of_a_warm_parent_send_all_their_spans(tmp_path: Path, program: str) -> None:
    """A parent that has sent already, and its children, corrupt no request, lose no span and raise no warning."""
    with backend(healthy) as server:
        done = run_program(tmp_path, program, server.url).succeeded()
        spans, broken = server.acknowledged, server.broken
    assert len(spans) == len({span.span_id for span in spans}) == 1 + CHILDREN * ATTEMPTS
    assert broken == []
    assert "Warning" not in done.output
    assert not (tmp_path / ".runlog-otel").exists()


def test_thousands_of_spans_arrive(tmp_path: Path) -> None:
    """A run of 5,000 steps reaches a healthy backend whole, in batches, before its process ends."""
    with backend(healthy) as server:
        run_program(tmp_path, "many", server.url, "30").succeeded()
        spans = server.acknowledged
    assert len(spans) == len({span.span_id for span in spans}) == 2 + 2 * MANY
    assert not (tmp_path / ".runlog-otel").exists()


@pytest.mark.parametrize("name", ["closed", "silent"])
def test_thousands_of_spans_that_nobody_takes_do_not_hold_up_the_end(tmp_path: Path, name: str) -> None:
    """The process ends within its budget of one second, and the run is known as unsent."""
    with backend(healthy) as server:
        baseline = run_program(tmp_path, "many", server.url, "1").succeeded()
    with backend(silent) as server, closed() as nowhere:
        done = run_program(tmp_path, "many", nowhere if name == "closed" else server.url, "1").succeeded()
    assert done.seconds < baseline.seconds + 1.0 + 2.0
    assert len(list((tmp_path / ".runlog-otel" / "unsent").glob("*.json"))) == 1
