"""Loads the host, without its greeting, and its config; or the source of a URL, which needs no host."""

import contextlib
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlog_otel.errors import ConfigError, MissingExtraError, RunNotFoundError
from runlog_otel.settings import Settings

if TYPE_CHECKING:  # a command imports only what its source needs
    from runlog_otel.core.model import Run
    from runlog_otel.sources.host_config import Project
    from runlog_otel.sources.port import Source

LATEST = "latest"
_CONFIGS = (".yaml", ".yml")


def project(config_file: str, **options: Any) -> "Project":
    """The project of a config file of the installed host; options override its settings.

    Without a host, the settings come from the environment, and only a run log in a file can be read, no store.

    Raises:
        MissingExtraError: there is a config file to read, and no host.
        ConfigError: the config is wrong.
    """
    from runlog_otel.hosts.installed import installed
    from runlog_otel.sources.host_config import Project

    overrides = _overrides(options)
    if installed() is None:
        if config_file:
            raise MissingExtraError("reading a config of runnable or magnus", "runnable")
        return Project("none: no host is installed", Settings.load({}, os.environ, "", overrides))
    with contextlib.redirect_stdout(io.StringIO()):  # the host prints a greeting when it is imported
        from runlog_otel.hosts.installed import HostAdapter
    return Project.load(HostAdapter, config_file, overrides)


def _source_of_config(config_file: str, **options: Any) -> "Source":
    """The store of a config file, read without the host where that is possible; raises as `project`."""
    plain = _plain(config_file, **options)
    if plain is None:
        return project(config_file, **options)
    from runlog_otel.sources.host_folder import HostFolder

    return HostFolder(*plain, lambda: project(config_file, **options))


def _settings_of_config(config_file: str, **options: Any) -> Settings:
    plain = _plain(config_file, **options)
    return plain[1] if plain else project(config_file, **options).settings


def _plain(config_file: str, **options: Any) -> tuple[str, Settings] | None:
    """The folder with the runs, and the settings, if they can be known without the host."""
    from runlog_otel.hosts.installed import installed

    if installed() != "runnable":
        return None
    from runlog_otel.hosts.runnable.plain_config import WHERE, plain_config

    plain = plain_config(config_file)
    if plain is None:
        return None
    overrides = _overrides(options)
    return plain.folder, Settings.load(plain.telemetry, os.environ, f"{WHERE}.telemetry", overrides)


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given in the call."""
    return {key: value for key, value in options.items() if value}


def run_named(source: "Source", name: str) -> "Run":
    """A run of a source by its id, or one in a JSON file; `LATEST` is the newest one.

    Raises:
        RunNotFoundError: the source has none of that id, or none at all.
        RunLogFormatError: what is there is damaged, or is no run log.
    """
    from runlog_otel.sources.files import run_from_file

    path = log_file(name)
    return run_from_file(path, source.settings) if path else source.run(run_id_named(source, name))


def run_id_named(source: "Source", name: str) -> str:
    """A run id, as it is, or that of the newest run for `LATEST`; raises RunNotFoundError if there is no run."""
    if name != LATEST:
        return name
    from runlog_otel.sources.recent_runs import newest_run_id

    run_id = newest_run_id(source)
    if run_id is None:
        raise RunNotFoundError(name, source.where)
    return run_id


def log_file(name: str) -> Path | None:
    """The JSON file of that name; None if it is a run id."""
    from runlog_otel.stores.files import is_file

    path = Path(name)
    return path if path.suffix == ".json" and is_file(path) else None


def settings_of(config_file: str, **options: Any) -> Settings:
    """The settings of a config file, or of the environment; options override them. Raises as `project`."""
    if config_file:
        return _settings_of_config(config_file, **options)
    return Settings.load({}, os.environ, options=_overrides(options))


def source(url: str, config_file: str, **options: Any) -> "Source":
    """The source of a URL or a path, with the settings of a config; without a URL, the config's own store.

    Raises:
        RunlogOtelError: what `project` and `runlog_otel.sources.source_from_url` raise.
    """
    if _is_config(url):
        return _source_of_config(url or config_file, **options)
    from runlog_otel.sources.port import source_from_url

    return source_from_url(url, settings_of(config_file, **options), os.environ.get)


def settings_for(url: str, config_file: str) -> Settings:
    """The settings of `source`, which need not exist; raises as `project`."""
    return _settings_of_config(url or config_file) if _is_config(url) else settings_of(config_file)


def _is_config(url: str) -> bool:
    return not url or url.endswith(_CONFIGS)


def outboxes(url: str, settings: Settings) -> list[Path]:
    """The outbox folders of a source: the first is that of the settings."""
    return [settings.outbox, *([own_outbox(settings.outbox, url)] if url else [])]


def own_outbox(outbox: Path, url: str) -> Path:
    """A source's own folder in the outbox, used when several are served; named by a digest of its URL."""
    return outbox / hashlib.sha256(url.encode()).hexdigest()[:16]


def sources(urls: Sequence[str], config_file: str, **options: Any) -> "list[Source]":
    """Like `source`, for several URLs; each gets its own outbox, because run ids are unique only within a source."""
    if len(urls) <= 1:
        return [source("".join(urls), config_file, **options)]
    outbox = settings_of(config_file, **options).outbox
    loaded: dict[str, Source] = {}
    for url in urls:
        loaded_source = source(url, config_file, **options, outbox=own_outbox(outbox, url))
        if loaded_source.where in loaded:
            raise ConfigError("--source", f"{loaded_source.where} is named twice")
        loaded[loaded_source.where] = loaded_source
    return list(loaded.values())
