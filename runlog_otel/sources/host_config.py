"""A project of a host as the command line sees it: its config file, the store in it, and the runs in the store."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from runlog_otel.core.model import ExecutionLog, StoredRun
from runlog_otel.core.redaction import redacted
from runlog_otel.errors import (
    ConfigError,
    MissingExtraError,
    RunLogFormatError,
    RunlogOtelError,
    RunNotFoundError,
    SourceError,
    UnsupportedStoreError,
)
from runlog_otel.hosts.kit.adapter import HostAdapter
from runlog_otel.hosts.kit.stores import DocumentPlugin, SqlPlugin
from runlog_otel.hosts.kit.wrapper import OWN_TYPE, inner_store, parts
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogs, RunLogTarget
from runlog_otel.stores.entries import Document
from runlog_otel.stores.files import changed_in, is_file, ordered, runs_in_folder, runs_missing

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output
    from runlog_otel.stores.sql.retention import RetainedSqlStore

_OF_ONE_RUN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, PermissionError)
"""What a host raises for a damaged log; anything else may be the client of a bucket that cannot be reached."""

_FOLDERS = ("file-system", "chunked-fs")
"""The kinds of stores that keep runs in a folder."""


@dataclass(frozen=True)
class Project(RunLogTarget):
    """The settings and the inner store of a config file; without a host, the environment's settings alone."""

    config_file: str
    settings: Settings
    kind: str = ""
    is_wrapped: bool = False
    _host: HostAdapter | None = None

    @classmethod
    def load(
        cls, host: type[HostAdapter], config_file: str = "", options: Mapping[str, Any] | None = None
    ) -> "Project":
        """Read a config as the host does.

        Args:
            host: the host that is installed.
            config_file: the file; else where the host finds it (`HostAdapter.config_file`).
            options: settings that win over those of the file.

        Raises:
            ConfigError: the file or something in it is wrong.
        """
        place, service = _service(host, config_file)
        kind, config = service.get("type", ""), service.get("config") or {}
        is_wrapped = kind == OWN_TYPE
        own, inner = parts(config, host.where) if is_wrapped else ({}, {"type": kind, "config": config})
        settings = Settings.load(own, os.environ, f"{host.where}.telemetry", options)
        try:
            store = inner_store(inner, host, f"{host.where}.inner" if is_wrapped else host.where.partition(".")[0])
        except RunlogOtelError:
            raise
        except Exception as error:
            problem = redacted(str(error)).replace("\n", " ")
            raise ConfigError(f"the run log store of {place}", f"cannot be made: {problem}") from error
        return cls(place, settings, inner["type"], is_wrapped, host(store, settings))

    @property
    def host(self) -> HostAdapter:
        """The runs as the host has them.

        Raises:
            MissingExtraError: no host is installed.
        """
        if self._host is None:
            raise MissingExtraError("reading a config of runnable or magnus", "runnable")
        return self._host

    @property
    def key(self) -> str:
        """The key of the config file that has the store."""
        return self.host.where.partition(".")[0] if self._host else "run-log-store"

    @property
    def store(self) -> Any:
        """The inner store; raises as `host`."""
        return self.host.store

    @property
    @override
    def where(self) -> str:
        if self._host is None:
            return "no store"
        names = ("bucket", "log_folder", "location")
        place = next((value for name in names if (value := getattr(self.store, name, ""))), "")
        return f"{self.kind} store {place}".strip()

    @override
    def outside_a_run(self, run_id: str) -> AbstractContextManager[None]:
        return self.host.outside_a_run(run_id)

    @override
    def document(self, run_id: str) -> Document:
        try:
            with self.host.outside_a_run(run_id):
                return self.host.document(run_id)
        except RunlogOtelError:
            raise
        except (self.host.not_found, FileNotFoundError) as error:
            raise RunNotFoundError(run_id, self.where) from error
        except _OF_ONE_RUN as error:
            raise RunLogFormatError(f"the log of {run_id!r}", redacted(str(error)).replace("\n", " ")) from error
        except Exception as error:  # a bucket's client, say: errors without a common base
            raise self._unreachable(error) from error

    @override
    def output(self, run_id: str, log: ExecutionLog) -> "Output | None":
        try:
            with self.host.outside_a_run(run_id):
                return self.host.output(log)
        except RunlogOtelError:
            raise
        except Exception as error:
            raise SourceError("the catalog", f"cannot be read: {redacted(str(error))}".replace("\n", " ")) from error

    def runs(self) -> list[StoredRun]:
        """The runs of the store, the last written first; raises as `changes` does."""
        return list(self.changes(0))[::-1]

    @override
    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        """Raises UnsupportedStoreError for a type of store that cannot be listed."""
        host, lister = self.host, _LISTERS.get(self.kind)
        if lister is None:
            raise UnsupportedStoreError(self.kind, sorted(_LISTERS))
        try:
            return lister(host, since_ns)
        except RunlogOtelError:
            raise
        except Exception as error:
            raise self._unreachable(error) from error

    @override
    def changed_ns(self, run_id: str) -> int | None:
        if self.kind in _FOLDERS:
            return changed_in(Path(self.store.log_folder), run_id)
        if not isinstance(self.store, SqlPlugin) or self.store.documents.database.is_missing:
            return None
        from runlog_otel.stores.sql.bulk import changed_ns

        return changed_ns(self.store.documents.database, run_id)

    @override
    def missing(self, run_ids: Sequence[str]) -> Iterable[str]:
        finder = _FINDERS.get(self.kind)
        if finder is None:
            return ()
        try:
            return finder(self.host, run_ids)
        except RunlogOtelError:
            raise
        except Exception as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> SourceError:
        problem = redacted(str(error)).replace("\n", " ") or type(error).__name__
        return SourceError(self.where, f"cannot be read: {problem}")

    @override
    def close(self) -> None:
        if self._host is not None and isinstance(self.store, SqlPlugin):
            self.store.close()

    @override
    def size_bytes(self) -> int | None:
        if not isinstance(self.store, SqlPlugin) or self.store.documents.database.is_missing:
            return None
        from runlog_otel.stores.sql.history import RunHistory

        return RunHistory(self.store.documents).size_bytes()

    @override
    def run_logs(self) -> RunLogs:
        self.prepare()
        return self

    @override
    def prepare(self) -> None:
        """Fill the placeholders of a connection string now: the next config may have other secrets."""
        if isinstance(self.store, DocumentPlugin):
            _ = self.store.documents

    @override
    def put(self, document: Document) -> None:
        self.host.put(document)

    @override
    def as_kept(self, document: Document) -> Document:
        return self.host.as_kept(document)

    @override
    def sql_store(self, *, must_exist: bool = True) -> "RetainedSqlStore | None":
        if not isinstance(self.store, SqlPlugin):
            return None
        store: RetainedSqlStore = self.store.opened(must_exist=must_exist)
        return store


def _service(host: type[HostAdapter], chosen: str) -> tuple[str, Mapping[str, Any]]:
    if chosen:
        host.choose(chosen)
    path = host.config_file()
    is_there = is_file(Path(path))
    if chosen and not is_there:
        raise ConfigError(chosen, "there is no such file")
    try:
        service = host.service(path if is_there else "")
    except ConfigError:
        raise
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(path, f"cannot be read: {redacted(str(error))}") from error
    except Exception as error:  # the YAML library's errors have no common base with the rest
        raise ConfigError(path, f"is no YAML: {redacted(str(error))}".replace("\n", " ")) from error
    if not isinstance(service, Mapping) or not isinstance(service.get("config") or {}, Mapping):
        raise ConfigError(f"{path}: {host.where.partition('.')[0]}", "must be a mapping of type and config")
    return path if is_there else "the host's defaults", service


def _in_folder(*, chunks: bool) -> Callable[[HostAdapter, int], Iterable[StoredRun]]:
    def runs(host: HostAdapter, since_ns: int) -> Iterable[StoredRun]:
        return ordered(runs_in_folder(Path(host.store.log_folder), files=not chunks, chunks=chunks), since_ns)

    return runs


def _not_in_folder(host: HostAdapter, run_ids: Sequence[str]) -> Iterable[str]:
    return runs_missing(Path(host.store.log_folder), run_ids)


def _bucket(host: HostAdapter) -> Any:
    with host.outside_a_run("any"):
        return host.store.get_run_log_bucket().parent


@dataclass(frozen=True)
class _Bucket:
    """Runs in a bucket: where the object is that stands for a run, and of which run one is."""

    name: str
    key: Callable[[str], str]
    run_id: Callable[[str], str]

    def runs(self, host: HostAdapter, since_ns: int) -> Iterable[StoredRun]:
        bucket, runs = _bucket(host), []
        for path in bucket.rglob(self.name):
            key = path.relative_to(bucket).as_posix()
            run_id = self.run_id(key)
            if key == self.key(run_id):
                runs.append(StoredRun(run_id, int(path.stat().st_mtime * 1e9)))
        return ordered(runs, since_ns)

    def missing(self, host: HostAdapter, run_ids: Sequence[str]) -> Iterable[str]:
        bucket = _bucket(host)
        return [run_id for run_id in run_ids if not (bucket / self.key(run_id)).exists()]


_OBJECTS = _Bucket(
    "*.json",
    key=lambda run_id: f"{run_id}/{run_id}.json",
    run_id=lambda key: key.removesuffix(".json")[: len(key.removesuffix(".json")) // 2],
)
_CHUNKS = _Bucket("RunLog", key=lambda run_id: f"{run_id}/RunLog", run_id=lambda key: key.removesuffix("/RunLog"))


def _in_database(host: HostAdapter, since_ns: int) -> Iterable[StoredRun]:
    from runlog_otel.stores.sql.history import RunHistory

    documents = host.store.documents
    return () if documents.database.is_missing else RunHistory(documents).changed(since_ns)


def _not_in_database(host: HostAdapter, run_ids: Sequence[str]) -> Iterable[str]:
    from runlog_otel.stores.sql.history import RunHistory

    documents = host.store.documents
    return run_ids if documents.database.is_missing else RunHistory(documents).missing(run_ids)


_LISTERS: dict[str, Callable[[HostAdapter, int], Iterable[StoredRun]]] = {
    "file-system": _in_folder(chunks=False),
    "chunked-fs": _in_folder(chunks=True),
    "sql": _in_database,
    "db": _in_database,
    "minio": _OBJECTS.runs,
    "chunked-minio": _CHUNKS.runs,
}
_FINDERS: dict[str, Callable[[HostAdapter, Sequence[str]], Iterable[str]]] = {
    "file-system": _not_in_folder,
    "chunked-fs": _not_in_folder,
    "sql": _not_in_database,
    "db": _not_in_database,
    "minio": _OBJECTS.missing,
    "chunked-minio": _CHUNKS.missing,
}
