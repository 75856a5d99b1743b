"""What both hosts' plugins of our stores (`type: sql`, also `db`, and `type: memory`) share: their config, and opening.

A host's class adds what only that host has; `runlog_otel.stores` knows what a document means.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_serializer, field_validator

from runlog_otel.core.model import Status
from runlog_otel.core.runlogs.json_runlog import pipeline_from_config
from runlog_otel.errors import (
    BranchNotFoundError,
    JobNotFoundError,
    RunExistsError,
    RunNotFoundError,
    StepNotFoundError,
)
from runlog_otel.hosts.kit.secrets import mask_what_the_host_prints
from runlog_otel.stores.connection_string import filled, is_in_memory, masked
from runlog_otel.stores.entries import Document
from runlog_otel.stores.port import DocumentStore


class DocumentPlugin(BaseModel):
    """A store that a host makes from its config, with every method of both hosts' base classes.

    No method rewrites the whole run. Only magnus passes additional keywords.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    _source: ClassVar[str]
    """The name of the host, which the store records with each run."""
    _printer: ClassVar[str]
    """The host's function that makes stores, and prints their config when that fails."""
    _models: ClassVar[Any]
    """The host's module of `RunLog`, `StepLog`, `BranchLog`."""
    _exceptions: ClassVar[Any]
    """The host's module of exceptions."""

    def __init__(self, **config: Any) -> None:
        try:
            super().__init__(**config)
        except ValueError:
            mask_what_the_host_prints(self._printer, config, type(self).model_fields)
            raise

    @property
    @abstractmethod
    def documents(self) -> DocumentStore:
        """The store of documents."""

    @abstractmethod
    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""

    def create_run_log(  # noqa: PLR0917 - the hosts' own signature
        self,
        run_id: str,
        dag_hash: str = "",
        use_cached: bool = False,
        tag: str = "",
        original_run_id: str = "",
        status: str = Status.CREATED.value,
        **_: Any,
    ) -> Any:
        """Add a run log; raises RunLogExistsError."""
        options = {"use_cached": use_cached, "original_run_id": original_run_id}
        rerun = {name: value for name, value in options.items() if name in self._models.RunLog.model_fields}
        run_log = self._models.RunLog(run_id=run_id, dag_hash=dag_hash, tag=tag, status=status, **rerun)
        with host_errors(self._exceptions):
            self.documents.create(run_log.model_dump())
        return run_log

    def get_run_log_by_id(self, run_id: str, full: bool = False, **_: Any) -> Any:
        """The run log; without its steps unless `full`. Raises RunLogNotFoundError."""
        with host_errors(self._exceptions):
            read = self.documents.document if full else self.documents.header
            return self._models.RunLog(**read(run_id))

    def put_run_log(self, run_log: Any, **_: Any) -> None:
        """Add or merge a run log; steps that it does not hold stay."""
        with host_errors(self._exceptions):
            self.documents.put(run_log.model_dump(), pipeline_from_config(run_log.run_config))

    def update_run_log_status(self, run_id: str, status: str) -> None:
        """Set the status of the run."""
        with host_errors(self._exceptions):
            self.documents.set_status(run_id, status)

    def get_parameters(self, run_id: str, internal_branch_name: str = "", **_: Any) -> Document:
        """The parameters of the run, or of a branch."""
        with host_errors(self._exceptions):
            return self.documents.parameters(run_id, internal_branch_name or "")

    def set_parameters(self, run_id: str, parameters: Document, internal_branch_name: str = "", **_: Any) -> None:
        """Merge parameters into those of the run, or of a branch."""
        with host_errors(self._exceptions):
            self.documents.set_parameters(run_id, parameters, internal_branch_name or "")

    def get_run_config(self, run_id: str, **_: Any) -> Document:
        """The config that the run was started with."""
        with host_errors(self._exceptions):
            return self.documents.config(run_id)

    def set_run_config(self, run_id: str, run_config: Document, **_: Any) -> None:
        """Merge into the run config, by its top-level keys."""
        with host_errors(self._exceptions):
            self.documents.set_config(run_id, run_config, pipeline_from_config(run_config))

    def get_step_log(self, internal_name: str, run_id: str, **_: Any) -> Any:
        """The step, without its branches; raises StepLogNotFoundError."""
        with host_errors(self._exceptions):
            return self._models.StepLog(**self.documents.step(internal_name, run_id))

    def add_step_log(self, step_log: Any, run_id: str, **_: Any) -> None:
        """Add or replace the step; branches that it does not hold stay. Raises BranchLogNotFoundError."""
        with host_errors(self._exceptions):
            self.documents.put_step(step_log.model_dump(), run_id)

    def get_branch_log(self, internal_branch_name: str, run_id: str, **_: Any) -> Any:
        """The branch without its steps; the run log when the name is empty."""
        if not internal_branch_name:
            return self.get_run_log_by_id(run_id)
        with host_errors(self._exceptions):
            return self._models.BranchLog(**self.documents.branch(internal_branch_name, run_id))

    def add_branch_log(self, branch_log: Any, run_id: str, **_: Any) -> None:
        """Add or merge the branch, or the run log; steps that it does not hold stay."""
        if not isinstance(branch_log, self._models.BranchLog):
            self.put_run_log(branch_log)
            return
        with host_errors(self._exceptions):
            self.documents.put_branch(branch_log.model_dump(), run_id)


class SqlPlugin(DocumentPlugin):
    """A row per run, step, branch and parameter, in SQLite or PostgreSQL. See docs/stores.md.

    Arguments:
        connection_string: SQLAlchemy URL with `${secret}` placeholders.
        table_name: prefix of the names of the tables.
        retention_days: finished runs older than this are deleted, a few with each new run; 0 keeps all.
        enable_compression: of documents above 1,000,000 characters.
        max_connections: of one process.
        timeout_seconds: to connect, per statement, and for all attempts of one call together.
    """

    service_name: str = "sql"
    supports_parallel_writes: bool = True
    connection_string: SecretStr
    table_name: str = "runnable_logs"
    retention_days: int = Field(default=90, ge=0)
    enable_compression: bool = True
    max_connections: int = Field(default=20, ge=1)
    timeout_seconds: float = Field(default=30, gt=0)

    _secret: ClassVar[Any]
    """Gives a secret of the host by its name, or None."""
    _opened: tuple[tuple[Any, ...], Any] | None = PrivateAttr(default=None)

    @field_validator("table_name")
    @classmethod
    def _is_identifier(cls, name: str) -> str:
        from runlog_otel.stores.sql.schema import tables_named

        return tables_named(name).name

    @field_serializer("connection_string")
    def _masked(self, connection_string: SecretStr) -> str:
        return masked(connection_string.get_secret_value())

    def model_post_init(self, _: Any, /) -> None:
        """A database in the memory of this process has no parallel writers."""
        if is_in_memory(self._connection_string()):
            self.supports_parallel_writes = False

    def __getstate__(self) -> dict[Any, Any]:
        """Without connections: the host sends the store to other processes."""
        return {**super().__getstate__(), "__pydantic_private__": {"_opened": None}}

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        if self._opened is not None:
            self._opened[1].database.close()

    @property
    def documents(self) -> Any:
        """The `RetainedSqlStore`; made anew when the config has changed, as integrations of the host do."""
        config = (
            self._connection_string(),
            self.table_name,
            self.retention_days,
            self.enable_compression,
            self.max_connections,
            self.timeout_seconds,
        )
        if self._opened is None or self._opened[0] != config:
            self.close()
            self._opened = (config, self.opened())
        return self._opened[1]

    def get_summary(self) -> dict[str, Any]:
        """What the host prints at the end of a run."""
        return {
            "Type": self.service_name,
            "Location": self.location,
            "Table": self.table_name,
            "Retention (days)": self.retention_days,
            "Compression": self.enable_compression,
        }

    def _connection_string(self) -> str:
        value = self.connection_string
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    @property
    def location(self) -> str:
        """Where the runs are, without credentials."""
        return masked(self._connection_string())

    def opened(self, *, must_exist: bool = False) -> Any:
        """A `RetainedSqlStore` of this config; with `must_exist`, a SQLite file is not created."""
        from runlog_otel.stores.sql.database import Database
        from runlog_otel.stores.sql.retention import RetainedSqlStore

        database = Database(
            filled(self._connection_string(), self._secret),
            table_name=self.table_name,
            timeout_seconds=self.timeout_seconds,
            max_connections=self.max_connections,
            must_exist=must_exist,
            where=self.location,
        )
        return RetainedSqlStore(
            database, retention_days=self.retention_days, is_compressing=self.enable_compression, source=self._source
        )


class MemoryPlugin(DocumentPlugin):
    """Run logs in the memory of this process, the oldest dropped first: for tests. See docs/stores.md.

    Arguments:
        max_runs: how many are kept.
        max_value_characters: parameter values whose compact JSON is longer are cut to `<truncated: N bytes>`.
    """

    service_name: str = "memory"
    supports_parallel_writes: bool = False
    max_runs: int = Field(default=1000, ge=1)
    max_value_characters: int = Field(default=10_240, ge=1)

    _opened: Any = PrivateAttr(default=None)

    def __getstate__(self) -> dict[Any, Any]:
        """Without the runs, which stay in this process."""
        return {**super().__getstate__(), "__pydantic_private__": {"_opened": None}}

    def close(self) -> None:
        """Forget all runs."""
        if self._opened is not None:
            self._opened.database.close()

    @property
    def documents(self) -> Any:
        """The `MemoryStore`."""
        if self._opened is None:
            from runlog_otel.stores.memory import MemoryStore

            self._opened = MemoryStore(
                max_runs=self.max_runs, max_value_characters=self.max_value_characters, source=self._source
            )
        return self._opened

    def get_summary(self) -> dict[str, Any]:
        """What the host prints at the end of a run."""
        return {"Type": self.service_name, "Location": "in memory, not persisted", "Runs kept": self.max_runs}


@contextmanager
def host_errors(exceptions: Any) -> Iterator[None]:
    """Raise a store's errors as the host's exceptions."""
    try:
        yield
    except RunExistsError as error:
        raise exceptions.RunLogExistsError(error.run_id) from error
    except RunNotFoundError as error:
        raise exceptions.RunLogNotFoundError(error.run_id) from error
    except StepNotFoundError as error:
        raise exceptions.StepLogNotFoundError(error.run_id, error.key) from error
    except BranchNotFoundError as error:
        raise exceptions.BranchLogNotFoundError(error.run_id, error.key) from error
    except JobNotFoundError as error:
        raise exceptions.JobLogNotFoundError(error.run_id) from error
