"""What tells one host from another: where its config says what, and how its run logs are read and written."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from runlog_otel.core.model import Run, Status
from runlog_otel.core.redaction import Redaction
from runlog_otel.core.runlogs.json_runlog import Document, changed_config, pipeline_from_config, run_from_log
from runlog_otel.hosts.kit.secrets import ExposedSecrets
from runlog_otel.hosts.kit.stores import SqlPlugin
from runlog_otel.live.run_registry import RunSource
from runlog_otel.settings import Settings
from runlog_otel.stores.compare import changes
from runlog_otel.stores.files import refuse_odd_files


class HostAdapter(RunSource, ABC):
    """The runs in a store of a host. Can be pickled if the store can."""

    name: ClassVar[str]
    where: ClassVar[str]
    """Where the store's config stands in the host's config file, for messages."""
    base: ClassVar[type]
    """The base class of the host's stores."""
    not_found: ClassVar[type[Exception]]
    no_secret: ClassVar[type[Exception]]
    """What a store of the host raises for a run that it does not have."""
    printer: ClassVar[str]
    """The host's function that makes stores, and prints their config when that fails."""

    def __init__(self, store: Any, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.exposed = ExposedSecrets(type(self))

    @staticmethod
    @abstractmethod
    def config_file() -> str:
        """The config file that is in force, whether it is there or not."""

    @staticmethod
    @abstractmethod
    def choose(config_file: str) -> None:
        """Put a config file in force, for this process and its children: it wins over the host's variables."""

    @staticmethod
    @abstractmethod
    def service(config_file: str) -> Any:
        """The store as that config file, or the host's defaults without it, have it: `{type, config}`.

        Raises:
            ConfigError: the host does not read what is there.
            Exception: whatever reading the file raises.
        """

    @staticmethod
    def outside_a_run(run_id: str) -> AbstractContextManager[None]:
        """What a store must have around it to be read where no run is: nothing."""
        return contextlib.nullcontext()

    @staticmethod
    @abstractmethod
    def is_orchestrator() -> bool:
        """Whether this process takes the current run from its start to its end, and no orchestrator elsewhere."""

    @staticmethod
    @abstractmethod
    def initial_log(run_id: str, run_config: Mapping[str, Any]) -> Document:
        """The log of a run of which nothing but the config is known yet."""

    @staticmethod
    @abstractmethod
    def secrets() -> Any:
        """The host's secrets manager; outside of a run (the command line) the one of the config file."""

    @classmethod
    def secret(cls, name: str) -> str | None:
        """A secret from the host's secrets manager; from the environment when that has none of this name.

        The manager is asked in a copy: that of `.env` files keeps what it read in a field, and the host dumps it into
        the run log.
        """
        try:
            value = cls.secrets().model_copy(deep=True).get(name)
        except cls.no_secret:
            value = None
        return str(value) if value else os.environ.get(name)

    @staticmethod
    @abstractmethod
    def graph() -> Any:
        """The definition of what the current run runs, as a document; None outside of a run."""

    @abstractmethod
    def document(self, run_id: str) -> dict[str, Any]:
        """The whole run log; raises what the store raises."""

    @abstractmethod
    def put(self, document: Mapping[str, Any]) -> None:
        """Write a whole run log, so that the host can go on with it; raises what the store raises."""

    @abstractmethod
    def as_kept(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """How a run log will be read back, once it was put; raises ValueError for one that is not of this host."""

    def refuse_odd_files(self, run_id: str) -> None:
        """Look at the files of a run before the store opens them, if it keeps them in a folder.

        Raises:
            RunOutsideError: they would not be in the folder.
            RunLogFormatError: one would block, as it is a FIFO or a device.
        """
        if folder := getattr(self.store, "log_folder", ""):
            refuse_odd_files(Path(folder), run_id)

    @override
    def note_changes(self, run: Run, execution: int) -> Run | None:
        """Only the SQL store can tell."""
        if not isinstance(self.store, SqlPlugin):
            return None
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
    def masked(self, text: str) -> str:
        return Redaction(self.settings.policy.patterns)(self.exposed.masked(text))

    @override
    def run(self, run_id: str) -> Run:
        return self.mapped(self.document(run_id))

    def mapped(self, document: Document) -> Run:
        """A run log as the settings say: its pipeline's name, its time zone."""
        return run_from_log(document, self.settings.pipeline, self.settings.zone)
