"""Loads the host, quietly, and its config; or the source that a URL names, which needs no host."""

import contextlib
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runlog_otel.core.model import Run
from runlog_otel.errors import ConfigError, MissingExtraError
from runlog_otel.hosts.installed import installed
from runlog_otel.settings import Settings
from runlog_otel.sources.files import run_from_file
from runlog_otel.sources.host_config import Project
from runlog_otel.sources.port import Source, source_from_url
from runlog_otel.stores.files import is_file

_CONFIGS = (".yaml", ".yml")


def project(config_file: str, **options: Any) -> Project:
    """The project of a config file of the host that is installed; settings that are given win.

    Where none is, the settings are the environment's, and a run log in a file can be read, but no store.

    Raises:
        MissingExtraError: there is a config file to read, and no host.
        ConfigError: the config is wrong.
    """
    given = {key: value for key, value in options.items() if value}
    if installed() is None:
        if config_file:
            raise MissingExtraError("reading a config of runnable or magnus", "runnable")
        return Project("none: no host is installed", Settings.load({}, os.environ, "", given))
    with contextlib.redirect_stdout(io.StringIO()):  # the host greets whoever imports it
        from runlog_otel.hosts.installed import HostAdapter
    return Project.load(HostAdapter, config_file, given)


def run_named(source: Source, name: str) -> Run:
    """A run of a source by its id, or one in a JSON file.

    Raises:
        RunNotFoundError: the source has none of that id.
        RunLogFormatError: what is there is damaged, or is no run log.
    """
    path = log_file(name)
    return run_from_file(path, source.settings) if path else source.run(name)


def log_file(name: str) -> Path | None:
    """The JSON file of that name; None where it is the id of a run."""
    path = Path(name)
    return path if path.suffix == ".json" and is_file(path) else None


def settings_of(config_file: str, **options: Any) -> Settings:
    """The settings of a config file, or of the environment; those that are given win. Raises as `project`."""
    if config_file:
        return project(config_file, **options).settings
    return Settings.load({}, os.environ, options={key: value for key, value in options.items() if value})


def source(url: str, config_file: str, **options: Any) -> Source:
    """The source that a URL or a path names, with the settings of a config; without one, the config's own store.

    Raises:
        RunlogOtelError: what `project` and `runlog_otel.sources.source_from_url` raise.
    """
    if _is_config(url):
        return project(url or config_file, **options)
    return source_from_url(url, settings_of(config_file, **options), os.environ.get)


def settings_for(url: str, config_file: str) -> Settings:
    """The settings of `source`, which need not be there; raises as `project`."""
    return project(url or config_file).settings if _is_config(url) else settings_of(config_file)


def _is_config(url: str) -> bool:
    return not url or url.endswith(_CONFIGS)


def outboxes(url: str, settings: Settings) -> list[Path]:
    """The folders that remember runs of a source: the first is the settings' own."""
    return [settings.outbox, *([own_outbox(settings.outbox, url)] if url else [])]


def own_outbox(outbox: Path, url: str) -> Path:
    """The folder in the outbox that is a source's own, where several are served; by its URL as it was given."""
    return outbox / hashlib.sha256(url.encode()).hexdigest()[:16]


def sources(urls: Sequence[str], config_file: str, **options: Any) -> list[Source]:
    """As `source`, of several; each has an outbox of its own then, as run ids are known to their source only."""
    if len(urls) <= 1:
        return [source("".join(urls), config_file, **options)]
    outbox = settings_of(config_file, **options).outbox
    loaded: dict[str, Source] = {}
    for url in urls:
        found = source(url, config_file, **options, outbox=own_outbox(outbox, url))
        if found.where in loaded:
            raise ConfigError("--source", f"{found.where} is named twice")
        loaded[found.where] = found
    return list(loaded.values())
