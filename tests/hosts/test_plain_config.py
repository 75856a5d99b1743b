"""A plain config is read without the host, as the host reads it; all else is left to the host."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runnable import defaults

from runlog_otel.cli.loading import project, source
from runlog_otel.hosts.runnable import plain_config
from runlog_otel.hosts.runnable.adapter import HostAdapter
from runlog_otel.hosts.runnable.plain_config import PlainConfig
from runlog_otel.sources.host_config import Project
from runlog_otel.sources.host_folder import HostFolder

WRAPPED = (
    "run-log-store: {{type: otel, config: {{inner: {{type: file-system, config: {config}}}, telemetry: {telemetry}}}}}"
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes the config of a project, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(plain_config.CONFIG_VARIABLE, raising=False)

    def write(text: str, file: str = defaults.USER_CONFIG_FILE) -> None:
        (tmp_path / file).write_text(text)

    return write


def test_names_and_defaults_are_those_of_the_host() -> None:
    """The reader must not import the host, so it has them too."""
    assert (
        defaults.RUNNABLE_CONFIGURATION_FILE,
        defaults.USER_CONFIG_FILE,
        defaults.VARIABLE_PREFIX,
        defaults.LOG_LOCATION_FOLDER,
        HostAdapter.where,
        defaults.DEFAULT_SERVICES[plain_config.STORE],
    ) == (
        plain_config.CONFIG_VARIABLE,
        plain_config.CONFIG_FILE,
        plain_config.VARIABLE_PREFIX,
        plain_config.FOLDER,
        plain_config.WHERE,
        {"type": plain_config.KIND, "config": {}},
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (None, PlainConfig(".run_log_store", {})),
        ("catalog: {type: file-system}", PlainConfig(".run_log_store", {})),
        ("run-log-store: {type: file-system, config: {log_folder: a}}", PlainConfig("a", {})),
        ("run_log_store: {type: file-system}", PlainConfig(".run_log_store", {})),
        (WRAPPED.format(config="{}", telemetry="{namespace: n}"), PlainConfig(".run_log_store", {"namespace": "n"})),
        (WRAPPED.format(config="{log_folder: '${folder}'}", telemetry=""), PlainConfig("logs", {})),
    ],
)
def test_a_plain_config_is_what_the_host_reads(
    write: Callable[..., None], monkeypatch: pytest.MonkeyPatch, text: str | None, plain: PlainConfig
) -> None:
    """Folder and settings, with the host's variables in them."""
    monkeypatch.setenv(f"{defaults.VARIABLE_PREFIX}folder", "logs")
    if text is not None:
        write(text)
    read, by_host = source("", ""), project("")
    assert plain_config.plain_config() == plain
    assert isinstance(read, HostFolder)
    assert (read.where, read.settings) == (by_host.where, by_host.settings)
    assert by_host.store.log_folder == plain.folder


@pytest.mark.parametrize(
    "text",
    [
        "run-log-store: {type: chunked-fs}",
        "run-log-store: {type: file-system, config: {log_folder: [a]}}",
        "run-log-store: {type: file-system, config: {service_name: a}}",
        WRAPPED.format(config="{}", telemetry="[a]"),
        "run-log-store: {type: otel, config: {inner: {type: file-system}, more: 1}}",
        "run-log-store: {type: file-system, config: {log_folder: '${unknown}'}}",
        "run-log-store: []",
        "a: b: c",
        "[]",
    ],
)
def test_all_else_is_left_to_the_host(write: Callable[..., None], text: str) -> None:
    """Other stores, and whatever the host refuses or warns of."""
    write(text)
    assert plain_config.plain_config() is None


def test_the_host_finds_the_same_file(write: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is chosen, else the variable's, else the default."""
    folders: list[Any] = []
    for name in (defaults.USER_CONFIG_FILE, "variable.yaml", "chosen.yaml"):
        write(f"run-log-store: {{type: file-system, config: {{log_folder: {name}}}}}", name)
    for variable, chosen in (("", ""), ("variable.yaml", ""), ("variable.yaml", "chosen.yaml")):
        monkeypatch.setenv(plain_config.CONFIG_VARIABLE, variable)
        read = plain_config.plain_config(chosen)
        assert read is not None
        folders.append((read.folder, Project.load(HostAdapter, chosen).store.log_folder))
    assert folders == [(name, name) for name in (defaults.USER_CONFIG_FILE, "variable.yaml", "chosen.yaml")]
    assert plain_config.plain_config("missing.yaml") is None
    assert os.environ[plain_config.CONFIG_VARIABLE] == "chosen.yaml"
