"""Rounds, figures, results, the page and its plots."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.__main__ import PARTS
from benchmarks.documents import document, job, spans_of
from benchmarks.harness import ROOT, Bench, Curve, Figure, Goal, write_json
from benchmarks.plot import svg
from benchmarks.processes import HOST, acknowledging, far_away, run
from benchmarks.stores import fill, multiply, store
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.spans import spans_from_run
from runlog_otel.stores.sql.history import RunHistory
from tests.peers.loopback import request


def test_cases_take_turns(tmp_path: Path) -> None:
    """Each round measures every case once, in order."""
    order: list[str] = []

    def case(name: str) -> float:
        order.append(name)
        return float(len(order))

    samples = Bench(tmp_path).in_turns({"a": lambda: case("a"), "b": lambda: case("b")}, rounds=2, seconds=3600)
    assert (order, samples) == (["a", "b", "a", "b"], {"a": (1.0, 3.0), "b": (2.0, 4.0)})


def test_no_round_begins_after_the_time_is_over(tmp_path: Path) -> None:
    """The first round is always measured."""
    assert Bench(tmp_path).in_turns({"a": lambda: 1.0}, rounds=9, seconds=0) == {"a": (1.0,)}


def test_a_figure_compares_within_rounds() -> None:
    """The ratio is the median of the ratios of each round, not the ratio of the medians."""
    figure = Figure("x", "s", (1.0, 4.0, 3.0), (1.0, 2.0, 2.0), "y", Goal("ratio", 1.6))
    assert figure.document() == {
        "what": "x",
        "unit": "s",
        "ours": 3.0,
        "reference": 2.0,
        "ratio": 1.5,
        "difference": 1.0,
        "of_reference": "y",
        "goal": {"of": "ratio", "bound": 1.6, "is_least": False},
        "is_met": True,
        "rounds": {"ours": [1.0, 4.0, 3.0], "reference": [1.0, 2.0, 2.0]},
    }


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [(Goal("ours", 3), True), (Goal("ours", 4, is_least=True), False), (Goal("difference", 0.5), False), (None, None)],
)
def test_a_goal_is_met_or_not(goal: Goal | None, is_met: bool | None) -> None:
    """A goal bounds the figure, its ratio or its difference, from above or from below."""
    assert Figure("x", "s", (3.0,), (2.0,), goal=goal).document()["is_met"] is is_met


def test_results_have_one_layout(tmp_path: Path) -> None:
    """Members have a line each, numbers of a list share one; what is read back is equal."""
    result = {"b": 1.5, "a": {"rounds": [1, 2], "none": None}, "list": [{"x": "ä"}], "empty": []}
    write_json(tmp_path / "results" / "x.json", result)
    text = (tmp_path / "results" / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == result
    assert text == (
        '{\n  "b": 1.5,\n  "a": {\n    "rounds": [1, 2],\n    "none": null\n  },\n'
        '  "list": [\n    {\n      "x": "ä"\n    }\n  ],\n  "empty": []\n}\n'
    )


def test_the_page_has_a_row_for_each_figure(tmp_path: Path) -> None:
    """With the reference, the ratio or difference, the goal, and whether it is met."""
    bench = Bench(tmp_path)
    bench.add("speed", "spans/s", (1234.5,), (100.0,), "stock", goal=Goal("ratio", 5, is_least=True))
    bench.add("start", "ms", (210.0,), (20.0,), "python", goal=Goal("difference", 150))
    bench.add("alone", "ms", (0.05,))
    text = page.page([bench.document("part", "A title", "How it is measured.")])
    assert [line for line in text.splitlines() if line.startswith("| ")][2:] == [
        "| speed | spans/s | 1,234 | 100 (stock) | 12.3x | ≥ 5x | yes |",
        "| start | ms | 210 | 20.0 (python) | +190 | ≤ +150 | no |",
        "| alone | ms | 0.0500 |  |  |  |  |",
    ]
    assert "## A title\n" in text
    assert "\nHow it is measured.\n" in text


def test_a_plot_has_a_line_for_each_name() -> None:
    """Both axes are logarithmic: equal factors are equally far apart."""
    curve = Curve("steps", "Cost & size", "steps", "ms", {"a": {10: 1.0, 100: 10.0, 1000: 100.0}, "b": {10: 1.0}})
    picture = svg(curve.document())
    assert 'points="80.0,340.0 305.0,195.0 530.0,50.0"' in picture
    assert picture.count("<polyline") == 2
    assert "Cost &amp; size" in picture


def test_the_committed_page_is_that_of_the_committed_results(tmp_path: Path) -> None:
    """`python -m benchmarks --page` writes it."""
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        (results / path.name).write_bytes(path.read_bytes())
    page.write(tmp_path, PARTS)
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "docs").iterdir()}
    assert {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in written} == written


def test_the_parts_are_listed() -> None:
    """A line for each part."""
    command = [sys.executable, "-m", "benchmarks", "--list"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*PARTS]


def test_a_run_has_as_many_spans_as_speeds_are_computed_with() -> None:
    """Of a document of plain steps."""
    traces = spans_from_run(run_from_log(document(1, 3)))
    assert sum(len(trace.spans) for trace in traces) == spans_of(3)


def test_a_run_is_multiplied_inside_the_database(tmp_path: Path) -> None:
    """Copies differ by id, pipeline and times, and have the parts of the original."""
    url = f"sqlite:///{tmp_path}/runs.db"
    fill(url, [job("first")])
    filled = store(url)
    multiply(filled, "first", 3, updated_ns=7)
    runs = RunHistory(filled.documents).page().runs
    assert {(run.run_id, run.pipeline) for run in runs} == {
        ("first", "runnable"),
        ("run-2", "pipeline_1"),
        ("run-3", "pipeline_2"),
        ("run-4", "pipeline_3"),
    }
    assert {run.updated_ns for run in runs if run.run_id != "first"} == {7}
    original = filled.documents.document("first")
    assert filled.documents.document("run-4") == {**original, "run_id": "run-4"}
    filled.close()


def test_a_far_server_receives_and_answers_the_same_bytes() -> None:
    """Also more than one chunk, and the end of the stream."""
    sent = bytes(range(256)) * 4096
    with socket.create_server((HOST, 0)) as listener, far_away(listener.getsockname()[1], 0.001) as port:

        def echo() -> None:
            server, _ = listener.accept()
            with server, server.makefile("rb") as stream:
                server.sendall(stream.read())

        answering = threading.Thread(target=echo)
        answering.start()
        with socket.create_connection((HOST, port)) as client, client.makefile("rb") as stream:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            received = stream.read()
        answering.join()
    assert received == sent


def test_a_receiver_counts_requests() -> None:
    """By the size of their bodies."""
    with acknowledging() as receiver:
        request(f"{receiver.url}/v1/traces", b"four")
        assert receiver.requests == [4]


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    """With what it printed."""
    with pytest.raises(SystemExit, match="status 3:\nbroken"):
        run(sys.executable, "-c", "print('broken'); raise SystemExit(3)", folder=tmp_path)
