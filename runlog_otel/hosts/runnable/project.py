"""A project of runnable as the command line sees it: its config file, the store in it, and the runs in the store."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from runnable import context, defaults, exceptions
from runnable.datastore import BaseRunLogStore

from runlog_otel.errors import ConfigError, RunLogFormatError, RunlogOtelError, RunNotFoundError, UnsupportedStoreError
from runlog_otel.hosts.runnable import log
from runlog_otel.hosts.runnable.runs import mapped, run_context, whole_run_log
from runlog_otel.hosts.runnable.wrapper import OWN_TYPE, WHERE, inner_store, parts
from runlog_otel.model import Run
from runlog_otel.redaction import redacted
from runlog_otel.settings import Settings


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that a store has, and when it was last written."""

    run_id: str
    written: datetime


@dataclass(frozen=True)
class Project:
    """The settings and the inner store of a config file."""

    config_file: str
    settings: Settings
    kind: str
    is_wrapped: bool
    store: BaseRunLogStore

    @classmethod
    def load(cls, config_file: str = "", options: Mapping[str, Any] | None = None) -> "Project":
        """Read a config as the host does, variables applied.

        Args:
            config_file: the file; else where the host finds it (`ServiceConfigurations`).
            options: settings that win over those of the file.

        Raises:
            ConfigError: the file or something in it is wrong.
        """
        found, service = _service(config_file)
        kind, config = service.get("type", ""), service.get("config") or {}
        is_wrapped = kind == OWN_TYPE
        own, inner = parts(config) if is_wrapped else ({}, {"type": kind, "config": config})
        settings = Settings.load(own, os.environ, f"{WHERE}.telemetry", options)
        try:
            store = inner_store(inner)
        except RunlogOtelError:
            raise
        except Exception as error:
            problem = redacted(str(error)).replace("\n", " ")
            raise ConfigError(f"the run log store of {found}", f"cannot be made: {problem}") from error
        return cls(found, settings, inner["type"], is_wrapped, store)

    @property
    def where(self) -> str:
        """The store, for messages."""
        names = ("bucket", "log_folder", "location")
        place = next((found for name in names if (found := getattr(self.store, name, ""))), "")
        return f"{self.kind} store {place}".strip()

    def run(self, run_id: str) -> Run:
        """A run of the store.

        Raises:
            RunNotFoundError: the store has none of that id.
            RunLogFormatError: what the store has is damaged.
        """
        try:
            with run_context(run_id):
                run_log = whole_run_log(self.store, run_id)
        except (exceptions.RunLogNotFoundError, FileNotFoundError) as error:
            raise RunNotFoundError(run_id, self.where) from error
        except ValueError as error:
            raise RunLogFormatError(f"the log of {run_id!r}", str(error).replace("\n", " ")) from error
        return mapped(run_log, self.settings)

    def runs(self) -> list[StoredRun]:
        """The runs of the store, newest first.

        Raises:
            UnsupportedStoreError: it is not known how to list a store of this type.
        """
        lister = _LISTERS.get(self.kind)
        if lister is None:
            raise UnsupportedStoreError(self.kind, sorted(_LISTERS))
        return sorted(lister(self.store), key=lambda run: (run.written, run.run_id), reverse=True)

    def run_from_file(self, path: Path) -> Run:
        """A run log in a JSON file, as the file-system store writes it.

        Raises:
            RunLogFormatError: the file cannot be read, or is no run log.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunLogFormatError(str(path), str(error)) from error
        if not isinstance(document, dict):
            raise RunLogFormatError(str(path), "it is no JSON object")
        try:
            return log.run_from_log(document, self.settings.pipeline, self.settings.zone)
        except RunLogFormatError as error:
            raise RunLogFormatError(str(path), str(error.__cause__ or error)) from error


def _service(config_file: str) -> tuple[str, Mapping[str, Any]]:
    if config_file:
        os.environ[defaults.RUNNABLE_CONFIGURATION_FILE] = config_file  # else a variable would win over the option
    found = os.environ.get(defaults.RUNNABLE_CONFIGURATION_FILE) or defaults.USER_CONFIG_FILE
    if config_file and not Path(config_file).is_file():
        raise ConfigError(config_file, "there is no such file")
    try:
        services = context.ServiceConfigurations(configuration_file=config_file).services
        service = services["run_log_store"]
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(found, f"cannot be read: {redacted(str(error))}") from error
    except Exception as error:  # the YAML library's errors have no common base with the rest
        raise ConfigError(found, f"is no YAML: {redacted(str(error))}".replace("\n", " ")) from error
    if not isinstance(service, Mapping):
        raise ConfigError(f"{found}: run-log-store", "must be a mapping of type and config")
    return found if Path(found).is_file() else "the host's defaults", service


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _in_folder(store: BaseRunLogStore) -> Iterator[StoredRun]:
    for path in Path(store.log_folder).glob("*.json"):
        yield StoredRun(path.stem, _moment(path.stat().st_mtime))


def _in_chunks(store: BaseRunLogStore) -> Iterator[StoredRun]:
    for path in Path(store.log_folder).glob("*/RunLog.json"):
        yield StoredRun(path.parent.name, _moment(max(file.stat().st_mtime for file in path.parent.glob("*.json"))))


def _in_bucket(name: Callable[[str], str]) -> Callable[[BaseRunLogStore], Iterator[StoredRun]]:
    def runs(store: BaseRunLogStore) -> Iterator[StoredRun]:
        with run_context("any"):
            bucket = store.get_run_log_bucket().parent
        for folder in bucket.iterdir():
            path = folder / name(folder.name)
            if path.exists():
                yield StoredRun(folder.name, _moment(path.stat().st_mtime))

    return runs


def _in_database(store: BaseRunLogStore) -> Iterator[StoredRun]:
    from runlog_otel.stores.sql.history import MAX_PAGE, RunHistory

    if store.documents.database.is_missing:
        return
    history = RunHistory(store.documents)
    after = None
    while True:
        page = history.page(after=after, limit=MAX_PAGE)
        for run in page.runs:
            yield StoredRun(run.run_id, _moment(run.updated_ns / 1e9))
        after = page.after
        if after is None:
            return


_LISTERS: dict[str, Callable[[BaseRunLogStore], Iterator[StoredRun]]] = {
    "file-system": _in_folder,
    "chunked-fs": _in_chunks,
    "sql": _in_database,
    "db": _in_database,
    "minio": _in_bucket(lambda run_id: f"{run_id}.json"),
    "chunked-minio": _in_bucket(lambda _: "RunLog"),
}
