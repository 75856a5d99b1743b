"""`runlog-otel check`."""

import json
from pathlib import Path

import pytest

from runlog_otel.cli.check import findings
from runlog_otel.settings import Settings
from runlog_otel.sources.host_config import Project
from tests.calls import Command
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


def test_check_tells_each_variable_that_is_not_understood(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was expected of it; the next variable holds, and no secret is shown."""
    (project / "runnable-config.yaml").write_text(
        "run-log-store: {type: otel, config: {inner: {type: file-system, config: {log_folder: .run_log_store}}}}\n"
    )
    with backend() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer canary,a=canary%ZZ,canary,b=canaryé,x-tenant=t"
        )
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "canary")
        called = command("check")
        ((_, headers, _),) = server.requests
    assert (called.status, called.err, headers["x-tenant"]) == (1, "", "t")
    variable = "BAD environment: OTEL_EXPORTER_OTLP_HEADERS pair"
    assert [line for line in called.out.splitlines() if line.startswith(("BAD", "ok  endpoint"))] == [
        f"{variable} 1 is ignored: has no '='; write name=value, not name: value",
        f"{variable} 2 is ignored: a '%' must be followed by two hexadecimal digits; write %25 for the sign itself",
        f"{variable} 3 is ignored: has no '='; write name=value, not name: value",
        f"{variable} 4 is ignored: its value must be printable ASCII in one line",
        "BAD environment: OTEL_EXPORTER_OTLP_TIMEOUT is ignored: Input should be a valid number, unable to parse "
        "string as a number",
        "BAD environment: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is ignored: must be http://host:port, https://host:port "
        "or file:///path",
        f"ok  endpoint: {server.url} acknowledges",
    ]
    assert "canary" not in called.out


def test_whatever_fails_in_check_is_a_finding(tmp_path: Path) -> None:
    """One line each, and the rest is looked at all the same."""

    class Broken(Project):
        @property
        def key(self) -> str:
            raise RuntimeError("odd\npassword=canary")

        @property
        def where(self) -> str:
            raise RecursionError("too deep")

    settings = Settings.load({"outbox": str(tmp_path), "endpoint": f"file://{tmp_path}/%00"}, {})
    found = findings(Broken("the config", settings))
    assert [(one.about, one.is_good, one.text) for one in found] == [
        ("config", True, "the config"),
        ("wrapper", False, "RuntimeError: odd password=********"),
        ("store", False, "RecursionError: too deep"),
        ("endpoint", False, f"export to {tmp_path}/\\x00 failed: embedded null byte"),
        ("outbox", True, "nothing is unsent"),
    ]
