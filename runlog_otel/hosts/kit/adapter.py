"""What differs between hosts: where their config is, and how their run logs are read and written."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from runlog_otel.core.model import Ending, ExecutionLog, Run, Status
from runlog_otel.core.redaction import Redaction
from runlog_otel.core.runlogs.header import changed_config, ended_config
from runlog_otel.core.runlogs.json_runlog import Document, pipeline_from_config, run_from_log
from runlog_otel.hosts.kit.secrets import ExposedSecrets
from runlog_otel.live.run_source import RunSource
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output


class HostAdapter(RunSource, ABC):
    """The runs in a store of a host. Can be pickled if the store can."""

    name: ClassVar[str]
    where: ClassVar[str]
    """Where the store's config is in the host's config file, for messages."""
    base: ClassVar[type]
    """The base class of the host's stores."""
    not_found: ClassVar[type[Exception]]
    """What a store of the host raises for a missing run."""
    no_secret: ClassVar[type[Exception]]
    """What a secrets manager of the host raises for a missing secret."""
    printer: ClassVar[str]
    """The host's function that makes stores, and prints their config when that fails."""

    prefix: ClassVar[str]
    """Of the variables that the host passes on to the programs of a step."""

    def __init__(self, store: Any, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.exposed = ExposedSecrets(type(self))

    @staticmethod
    @abstractmethod
    def config_file() -> str:
        """The config file in force, whether it exists or not."""

    @staticmethod
    @abstractmethod
    def choose(config_file: str) -> None:
        """Make this the config file of this process and its children; it takes precedence over the host's variables."""

    @staticmethod
    @abstractmethod
    def service(config_file: str) -> Any:
        """The store's `{type, config}` in that config file, or else in the host's defaults.

        Raises:
            ConfigError: the host would ignore what is there.
            Exception: whatever reading the file raises.
        """

    @staticmethod
    def outside_a_run(run_id: str) -> AbstractContextManager[None]:
        """The context that a store needs to be read outside of a run; by default, none."""
        return contextlib.nullcontext()

    @staticmethod
    @abstractmethod
    def is_orchestrator() -> bool:
        """Whether this process controls the current run from start to end, rather than an orchestrator elsewhere."""

    @staticmethod
    @abstractmethod
    def pipeline() -> str:
        """The name that the user gave the pipeline that is executed: the host makes its store by then; else empty."""

    @staticmethod
    @abstractmethod
    def initial_log(run_id: str, run_config: Mapping[str, Any]) -> Document:
        """The log of a new run, of which only the config is known."""

    @staticmethod
    @abstractmethod
    def secrets() -> Any:
        """The host's secrets manager; outside of a run (the command line) the one of the config file."""

    @classmethod
    def secret(cls, name: str) -> str | None:
        """A secret from the host's secrets manager, or else from the environment.

        This asks a copy of the manager: the one for `.env` files keeps what it read in a field, which the host would
        dump into the run log.
        """
        try:
            value = cls.secrets().model_copy(deep=True).get(name)
        except cls.no_secret:
            value = None
        return str(value) if value else os.environ.get(name)

    @staticmethod
    @abstractmethod
    def graph() -> Any:
        """The definition of the current pipeline or job, as a document; None outside of a run."""

    @abstractmethod
    def document(self, run_id: str) -> dict[str, Any]:
        """The whole run log; raises what the store raises."""

    @abstractmethod
    def put(self, document: Mapping[str, Any]) -> None:
        """Write a whole run log, so that the host can retry the run; raises what the store raises."""

    @abstractmethod
    def as_kept(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The run log as it reads back after `put`; raises ValueError for the log of another host."""

    @override
    def output(self, log: ExecutionLog) -> "Output | None":
        """From the host's catalog, in a run or within `outside_a_run`; raises what the catalog raises."""
        return None

    def refuse_odd_files(self, run_id: str) -> None:
        """Check the files of a run before the store opens them, if it keeps them in a folder.

        Raises:
            RunOutsideError: they would be outside the folder.
            RunLogFormatError: one would block, as it is a FIFO or a device.
        """
        if folder := getattr(self.store, "log_folder", ""):
            from runlog_otel.stores.files import refuse_odd_files  # only where a whole run is read

            refuse_odd_files(Path(folder), run_id)

    @override
    def note_changes(self, run: Run, execution: int) -> Run | None:
        """Only the SQL store can tell."""
        from runlog_otel.hosts.kit.stores import SqlPlugin  # only for failed runs: 4 ms of a step's import

        if not isinstance(self.store, SqlPlugin):
            return None
        from runlog_otel.stores.compare import changes
        from runlog_otel.stores.sql.history import RunFilter, RunHistory

        store = self.store.documents
        history = RunHistory(store)
        document = history.get(run.run_id)
        pipeline = pipeline_from_config(document["run_config"])
        if not pipeline:
            return None
        last = history.page(RunFilter(pipeline=pipeline, status=Status.SUCCESS.value), limit=1).runs
        if not last or last[0].run_id == run.run_id:
            return None
        noted = changed_config(document["run_config"], changes(history.get(last[0].run_id), document, execution))
        if not noted:
            return None
        store.set_config(run.run_id, noted)
        return self.run(run.run_id)

    @override
    def note_ending(self, run: Run, ending: Ending) -> None:
        if ended := ended_config(self.store.get_run_config(run.run_id), ending):
            self.store.set_run_config(run.run_id, ended)

    @override
    def masked(self, text: str) -> str:
        return Redaction(self.settings.policy.patterns)(self.exposed.masked(text))

    @override
    def run(self, run_id: str) -> Run:
        return self.mapped(self.document(run_id))

    def mapped(self, document: Document) -> Run:
        """The run of a log, with the pipeline's name and the time zone from the settings."""
        return run_from_log(document, self.settings.pipeline, self.settings.zone)
