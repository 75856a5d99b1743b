"""`runlog-otel check`."""

import json
from pathlib import Path

from tests.cli.conftest import Command
from tests.exporters.spans import backend


def test_check_tells_the_settings_and_that_all_is_well(command: Command) -> None:
    """Each setting with its source, secrets masked, one line for each finding."""
    with backend() as server:
        called = command("check", "--endpoint", server.url)
    assert (called.status, called.err) == (0, "")
    lines = called.out.splitlines()
    assert [line.split() for line in lines if line.startswith("endpoint")] == [
        ["endpoint", server.url, "command", "line"]
    ]
    assert [line.split() for line in lines if line.startswith("headers")] == [
        ["headers", "authorization=********", "config"]
    ]
    assert lines[-5:] == [
        "ok  config: runnable-config.yaml",
        "ok  wrapper: run-log-store is of type otel",
        "ok  store: file-system store .run_log_store: 3 runs",
        f"ok  endpoint: {server.url} acknowledges",
        "ok  outbox: nothing is unsent",
    ]
    assert "canary" not in called.out


def test_check_tells_what_is_wrong(command: Command) -> None:
    """A backend that is not there: exit status 1."""
    called = command("check", "--endpoint", "http://127.0.0.1:9", "--json")
    found = json.loads(called.out)
    assert called.status == 1
    assert [finding["about"] for finding in found["findings"] if not finding["is_good"]] == ["endpoint"]
    assert found["sources"]["headers"] == "config"
    assert "canary" not in called.out


def test_check_tells_of_a_config_without_the_wrapper(command: Command, project: Path) -> None:
    """Then no run is traced."""
    (project / "runnable-config.yaml").write_text("run-log-store: {type: chunked-fs}\n")
    called = command("check")
    assert called.status == 1
    assert "BAD wrapper: run-log-store is not of type otel: runs are not traced" in called.out.splitlines()


def test_a_wrong_config_is_one_line(command: Command, project: Path) -> None:
    """What is wrong, where, and no secret."""
    path = project / "runnable-config.yaml"
    path.write_text(path.read_text().replace("endpoint:", "endpont:"))
    called = command("check")
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert called.err.startswith("error: run-log-store.config.telemetry.endpont: unknown key; known are ")
    assert "canary" not in called.err


def test_a_file_that_is_no_yaml_is_one_line(command: Command, project: Path) -> None:
    """The host's own reader says where."""
    (project / "runnable-config.yaml").write_text("a: [1,\nb")
    called = command("check")
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert called.err.startswith("error: runnable-config.yaml: ")
