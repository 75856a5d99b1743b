"""A project of a host as the command line sees it: its config file, the store in it, and the runs in the store."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runlog_otel.core.model import Run, StoredRun
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
from runlog_otel.hosts.kit.stores import SqlPlugin
from runlog_otel.hosts.kit.wrapper import OWN_TYPE, inner_store, parts
from runlog_otel.settings import Settings
from runlog_otel.stores.files import is_file, ordered, runs_in_folder, runs_missing

_OF_ONE_RUN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, PermissionError)
"""What a host raises for a damaged log; anything else may be the client of a bucket that cannot be reached."""


@dataclass(frozen=True)
class Project:
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
        found, service = _service(host, config_file)
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
            raise ConfigError(f"the run log store of {found}", f"cannot be made: {problem}") from error
        return cls(found, settings, inner["type"], is_wrapped, host(store, settings))

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
    def where(self) -> str:
        """The store, for messages."""
        if self._host is None:
            return "no store"
        names = ("bucket", "log_folder", "location")
        place = next((found for name in names if (found := getattr(self.store, name, ""))), "")
        return f"{self.kind} store {place}".strip()

    def run(self, run_id: str) -> Run:
        """A run of the store; raises as `document`, and RunLogFormatError where it is no run log."""
        return self.host.mapped(self.document(run_id))

    def document(self, run_id: str) -> dict[str, Any]:
        """A run log of the store.

        Raises:
            RunNotFoundError: the store has none of that id.
            RunLogFormatError: what the store has is damaged, or may not be read.
            RunlogOtelError: the store cannot be reached.
        """
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

    def runs(self) -> list[StoredRun]:
        """The runs of the store, the last written first; raises as `changes` does."""
        return list(self.changes(0))[::-1]

    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        """The runs that were written at or after a moment, in the order of their last write.

        Raises:
            UnsupportedStoreError: it is not known how to list a store of this type.
            RunlogOtelError: the store cannot be reached.
        """
        host, lister = self.host, _LISTERS.get(self.kind)
        if lister is None:
            raise UnsupportedStoreError(self.kind, sorted(_LISTERS))
        try:
            return lister(host, since_ns)
        except RunlogOtelError:
            raise
        except Exception as error:
            raise self._unreachable(error) from error

    def missing(self, run_ids: Sequence[str]) -> Iterable[str]:
        """Those of some runs that the store does not have any more; raises as `changes` does."""
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

    def close(self) -> None:
        """Give the connections of a database back."""
        if self._host is not None and isinstance(self.store, SqlPlugin):
            self.store.close()

    def size_bytes(self) -> int | None:
        """What a database takes on the disk; None of other stores."""
        if not isinstance(self.store, SqlPlugin) or self.store.documents.database.is_missing:
            return None
        from runlog_otel.stores.sql.history import RunHistory

        return RunHistory(self.store.documents).size_bytes()


def _service(host: type[HostAdapter], chosen: str) -> tuple[str, Mapping[str, Any]]:
    if chosen:
        host.choose(chosen)
    found = host.config_file()
    is_there = is_file(Path(found))
    if chosen and not is_there:
        raise ConfigError(chosen, "there is no such file")
    try:
        service = host.service(found if is_there else "")
    except ConfigError:
        raise
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(found, f"cannot be read: {redacted(str(error))}") from error
    except Exception as error:  # the YAML library's errors have no common base with the rest
        raise ConfigError(found, f"is no YAML: {redacted(str(error))}".replace("\n", " ")) from error
    if not isinstance(service, Mapping) or not isinstance(service.get("config") or {}, Mapping):
        raise ConfigError(f"{found}: {host.where.partition('.')[0]}", "must be a mapping of type and config")
    return found if is_there else "the host's defaults", service


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
        bucket, found = _bucket(host), []
        for path in bucket.rglob(self.name):
            key = path.relative_to(bucket).as_posix()
            run_id = self.run_id(key)
            if key == self.key(run_id):
                found.append(StoredRun(run_id, int(path.stat().st_mtime * 1e9)))
        return ordered(found, since_ns)

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
