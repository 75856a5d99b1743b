"""A wrong config stops host and command line with one clear line, and shows no secret."""

from pathlib import Path
from typing import Any

import pytest

from tests.hosts.project import Project

INNER = {"type": "chunked-fs", "config": {"log_folder": ".run_log_store"}}
TELEMETRY = {"headers": {"authorization": "Bearer canary-of-a-header"}}
SECRET_URL = "http://somebody:canary-of-a-password@127.0.0.1:4318"
WHERE = "run-log-store.config"
KNOWN = "known are inner, telemetry"

CASES: dict[str, tuple[Any, str]] = {
    "unknown key": (
        {"inner": INNER, "telemetry": TELEMETRY, "headers": TELEMETRY["headers"]},
        f"{WHERE}: unknown key 'headers'; {KNOWN}",
    ),
    "unknown setting": (
        {"inner": INNER, "telemetry": {**TELEMETRY, "endpont": SECRET_URL}},
        f"{WHERE}.telemetry.endpont: unknown key; known are ",
    ),
    "setting of a wrong type": (
        {"inner": INNER, "telemetry": {**TELEMETRY, "timeout_seconds": "soon"}},
        f"{WHERE}.telemetry.timeout_seconds: Input should be a valid number",
    ),
    "header of a wrong type": (
        {"inner": INNER, "telemetry": {"headers": {"x-token": ["canary-of-a-token"]}}},
        f"{WHERE}.telemetry.headers.x-token: Input should be a valid string",
    ),
    "headers as text": (
        {"inner": INNER, "telemetry": {"headers": "authorization=canary-of-a-header"}},
        f"{WHERE}.telemetry.headers: Input should be a valid dictionary",
    ),
    "endpoint of another kind": (
        {"inner": INNER, "telemetry": {**TELEMETRY, "endpoint": SECRET_URL.replace("http", "ftp")}},
        f"{WHERE}.telemetry.endpoint: must be http://host:port, https://host:port or file:///path",
    ),
    "pattern that is none": (
        {"inner": INNER, "telemetry": {**TELEMETRY, "redact": ["fine", "(canary"]}},
        f"{WHERE}.telemetry.redact: pattern 2 is no regular expression: wrong at character 1",
    ),
    "telemetry as a list": ({"inner": INNER, "telemetry": ["endpoint"]}, f"{WHERE}.telemetry: must be a mapping"),
    "no inner store": ({"telemetry": TELEMETRY}, f"{WHERE}.inner: must name the store to wrap, as "),
    "inner store as text": ({"inner": "chunked-fs", "telemetry": TELEMETRY}, f"{WHERE}.inner: must name the store "),
    "inner store of an unknown type": (
        {"inner": {"type": "nosuch", "config": {"password": "canary-of-a-password"}}, "telemetry": TELEMETRY},
        f"{WHERE}.inner.type: unknown type 'nosuch'; installed are broken, ",
    ),
    "unknown key of the inner store": (
        {"inner": {**INNER, "name": "mine"}, "telemetry": TELEMETRY},
        f"{WHERE}.inner: unknown key 'name'; known are type, config",
    ),
    "config of the inner store as a list": (
        {"inner": {"type": "chunked-fs", "config": ["log_folder"]}, "telemetry": TELEMETRY},
        f"{WHERE}.inner.config: must be a mapping",
    ),
    "wrapper in a wrapper": (
        {"inner": {"type": "otel", "config": {"inner": INNER, "telemetry": TELEMETRY}}, "telemetry": TELEMETRY},
        f"{WHERE}.inner.type: a wrapper cannot wrap a wrapper",
    ),
}
INNER_ERRORS: dict[str, tuple[Any, str]] = {
    "a key is missing": (
        {"type": "demanding", "config": {"connection_string": "sql://me:canary@db"}},
        "table",
    ),
    "a key is of a wrong type": (
        {"type": "chunked-fs", "config": {"log_folder": {"password": "canary-of-a-password"}}},
        "log_folder",
    ),
}


def outputs(tmp_path: Path, config: Any, path: str) -> tuple[str, str]:
    """What the host and the command line write about a config, which neither takes."""
    project = Project(tmp_path, "chunked-fs")
    project.write_config({"run-log-store": {"type": "otel", "config": config}})
    by_host = project.run("sequential", "r", PYTHONPATH=path)
    by_command_line = project.python("-m", "runlog_otel", "check", PYTHONPATH=path)
    assert by_host.returncode == 1
    assert by_command_line.returncode == 2, by_command_line.output
    assert not (tmp_path / ".run_log_store").exists()
    return by_host.output, by_command_line.output


@pytest.mark.parametrize(("config", "line"), CASES.values(), ids=CASES)
def test_a_wrong_config_is_told_in_one_line(tmp_path: Path, probe_path: str, config: Any, line: str) -> None:
    """Host and command line end, name what is wrong and where in one line, and show no secret in all their output."""
    by_host, by_command_line = outputs(tmp_path, config, probe_path)
    error = "runlog_otel.errors.ConfigError: "
    told = [text.removeprefix(error) for text in by_host.splitlines() if text.startswith(error)]
    assert len(told) == 1
    assert told[0].startswith(line)
    assert "canary" not in by_host
    assert by_command_line.splitlines() == [f"error: {told[0]}"]


@pytest.mark.parametrize("secret", [SECRET_URL, "canary of no known shape", {"x": "canary of no known shape"}, 7])
def test_a_misplaced_secret_is_shown_by_nobody(tmp_path: Path, probe_path: str, secret: Any) -> None:
    """Directly under `config`, where no value belongs, the host's own line, which prints the config, has it masked."""
    config = {"inner": INNER, "telemetry": TELEMETRY, "endpoint": secret}
    by_host, by_command_line = outputs(tmp_path, config, probe_path)
    error = f"{WHERE}: unknown key 'endpoint'; {KNOWN}"
    assert [line for line in by_host.splitlines() if line.endswith(error)] == [
        f"runlog_otel.errors.ConfigError: {error}"
    ]
    assert "canary" not in by_host
    assert "'endpoint': '********'" in by_host
    assert by_command_line == f"error: {error}\n"


@pytest.mark.parametrize(("inner", "key"), INNER_ERRORS.values(), ids=INNER_ERRORS)
def test_an_error_of_the_inner_stores_config_shows_no_secret(
    tmp_path: Path, probe_path: str, inner: Any, key: str
) -> None:
    """What the inner store does not like is named by host and command line, and no value of its config is."""
    by_host, by_command_line = outputs(tmp_path, {"inner": inner, "telemetry": TELEMETRY}, probe_path)
    assert key in by_host
    assert "canary" not in by_host
    assert by_command_line.startswith("error: ")
    assert key in by_command_line
    assert len(by_command_line.splitlines()) == 1
    assert "canary" not in by_command_line
