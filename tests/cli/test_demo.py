"""`runlog-otel demo` runs a real pipeline."""

from pathlib import Path

import pytest

from tests.calls import Command
from tests.exporters.spans import backend


@pytest.mark.canary
def test_the_demo_shows_its_trace_and_says_where_it_is(command: Command, project: Path) -> None:
    """On embedded defaults: a file that Jaeger's UI opens."""
    called = command("demo", "--folder", "here")
    assert (called.status, called.err) == (0, "")
    text = called.out.replace("\n", " ")
    assert "publish to mirror" in text
    assert f"The trace is in {project / 'here' / 'traces.jsonl'}: open it in Jaeger's UI" in text
    assert (project / "here" / "traces.jsonl").read_text().count('"name":"RUN demo"') == 1


def test_the_demo_can_be_run_again_against_a_backend(command: Command) -> None:
    """It gives the link to Jaeger's UI."""
    with backend() as server:
        first, second = (command("demo", "--endpoint", server.url) for _ in range(2))
    assert (first.status, second.status, server.span_names().count("RUN demo")) == (0, 0, 2)
    assert f"The trace went to {server.url}." in second.out
    assert "http://127.0.0.1:16686/trace/" in second.out


def test_the_demo_says_when_a_backend_did_not_take_the_trace(command: Command) -> None:
    """Exit status 1, and the command that sends it later."""
    called = command("demo", "--endpoint", "http://127.0.0.1:9")
    assert called.status == 1
    assert "The export to http://127.0.0.1:9 failed. Later: cd " in called.out.replace("\n", " ")


def test_a_folder_that_cannot_be_written_is_one_line(command: Command, project: Path) -> None:
    """It says which."""
    (project / "file").write_text("")
    called = command("demo", "--folder", "file/x")
    assert (called.status, called.out, called.err) == (
        2,
        "",
        f"error: {project / 'file/x'}: cannot be written: Not a directory\n",
    )
