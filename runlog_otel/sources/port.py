"""The port that commands and `serve` read runs by; `source_from_url` makes the source that a URL names.

A source is a module of its own; docs/sources.md shows how to write one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from runlog_otel.core.model import ExecutionLog, Run, StoredRun
from runlog_otel.core.redaction import redacted
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import ConfigError, RunLogFormatError, RunlogOtelError, RunNotFoundError
from runlog_otel.settings import Settings
from runlog_otel.stores.connection_string import filled, masked
from runlog_otel.stores.entries import Document

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output
    from runlog_otel.stores.sql.retention import RetainedSqlStore

ENTRY_POINTS = "runlog_otel.sources"
"""The group of other packages' functions that make sources, named by the beginning of their URLs, up to `+` or `:`."""
_MODULES = {
    "constellation": "constellation",
    "db-log": "db_log",
    "file": "files",
    "postgres": "sql",
    "postgresql": "sql",
    "sqlite": "sqlite_file",
}
"""What the URLs of our own sources begin with, and their modules: looking for entry points costs 30 ms of CPU."""


class Source(ABC):
    """Runs, wherever they are kept. Every method raises RunlogOtelError when they cannot be reached.

    The abstract methods are what a source must have. The others have an answer for a source that cannot do it.
    """

    __slots__ = ()

    settings: Settings
    """How its runs are mapped, and where their traces go."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The place, for messages and in the state of `serve`: the same text at each start."""

    @abstractmethod
    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        """The runs that were written at or after a moment, each once, in the order of their last write.

        Args:
            since_ns: the moment, in nanoseconds since the epoch; 0 lists every run.

        Raises:
            RunlogOtelError: they cannot be listed; a part of the list is worth nothing then.
        """

    @abstractmethod
    def run(self, run_id: str) -> Run:
        """A whole run.

        Raises:
            RunNotFoundError: there is no run of that id.
            RunLogFormatError: what is there cannot be read as a run.
        """

    def read_runs(self, run_ids: Sequence[str]) -> Iterator[Run | Exception]:
        """Some whole runs, in order; in the place of one that `run` cannot read, the error that it raises.

        A source that can read many runs at once, or ahead, overrides this.

        Raises:
            RunlogOtelError: the runs cannot be reached; those that follow are not read.
        """
        for run_id in run_ids:
            try:
                yield self.run(run_id)
            except Exception as error:  # noqa: BLE001, PERF203 one bad run must not stop the others
                yield error

    def missing(self, run_ids: Sequence[str]) -> Iterable[str]:
        """Those of some runs, listed before, that certainly no longer exist, in any order; none if that is unknown.

        `serve` asks this about the runs that have not ended, after `changes`, at each poll: it must cost little.
        """
        return ()

    def changed_ns(self, run_id: str) -> int | None:
        """When a run was last written, in nanoseconds since the epoch; None if only reading it would tell.

        Who follows a run asks this at each poll: it must cost less than to read the run.
        """
        return None

    def size_bytes(self) -> int | None:
        """How much disk space the runs take; None if that is expensive to find out."""
        return None

    def output(self, run_id: str, log: ExecutionLog) -> "Output | None":
        """The output of an attempt of a run; None if it is not kept, or no longer.

        Raises:
            RunlogOtelError: the place where it is kept cannot be reached.
        """
        return None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        return

    def run_logs(self) -> "RunLogs | None":
        """The same source as one of run logs, to compare and to copy them; None if its runs are something else."""
        return None

    def target(self) -> "RunLogTarget | None":
        """The same source, prepared to have run logs written to it; None if it is only read.

        Raises:
            StoreError: what is missing, such as tables, cannot be made.
        """
        return None

    def sql_store(self, *, must_exist: bool = True) -> "RetainedSqlStore | None":
        """The SQL store of ours that the runs are in: lists are read from it, `db` works on it; else None.

        Args:
            must_exist: whether a SQLite file that does not exist is an error; else it is made.

        Raises:
            StoreError: the file does not exist.
        """
        return None


class RunLogs(Source):
    """A source whose runs are run logs of runnable or magnus, verbatim."""

    __slots__ = ()
    not_found: ClassVar[type[Exception]] = RunNotFoundError

    def outside_a_run(self, run_id: str) -> AbstractContextManager[None]:
        """What must be entered to read or write a run log where no run is in progress: nothing."""
        return nullcontext()

    @abstractmethod
    def document(self, run_id: str) -> Document:
        """A whole run log; raises as `run` does."""

    @override
    def run(self, run_id: str) -> Run:
        return run_from_log(self.document(run_id), self.settings.pipeline, self.settings.zone)

    def mapped(self, documents: Iterable[Document | Exception]) -> Iterator[Run | Exception]:
        """The runs of documents, in order; in the place of one that is none, the error."""
        for document in documents:
            if isinstance(document, Exception):
                yield document
                continue
            try:
                yield run_from_log(document, self.settings.pipeline, self.settings.zone)
            except RunLogFormatError as error:
                yield error

    @override
    def run_logs(self) -> "RunLogs":
        return self


class RunLogTarget(RunLogs):
    """A source that run logs can be written to."""

    __slots__ = ()

    @abstractmethod
    def prepare(self) -> None:
        """Make what is missing, before the first `put`."""

    @abstractmethod
    def put(self, document: Document) -> None:
        """Add a run log, or merge it into the existing one; a second call with the same changes nothing.

        Raises:
            StoreError: it cannot be written.
        """

    def as_kept(self, document: Document) -> Document:
        """How a run log reads back after `put`: unchanged. Raises ValueError for one that cannot be kept."""
        return document

    @override
    def target(self) -> "RunLogTarget":
        self.prepare()
        return self


SourceMaker = Callable[[str, Settings], Source]
"""Makes a source of a URL, whose placeholders are filled, and settings; raises RunlogOtelError."""


def source_from_url(url: str, settings: Settings, secret: Callable[[str], str | None]) -> Source:
    """The source that a URL, or the path of a folder or file, names.

    Args:
        url: the URL or path; `${NAME}` in it is replaced by a secret.
        settings: how runs are mapped, and where their traces go.
        secret: the value of a secret, or None.

    Raises:
        ConfigError: the URL names no known kind of source, or a secret has no value.
        RunlogOtelError: the source itself refuses the URL.
    """
    text = filled(url, secret, "--source")
    scheme, has_scheme, _ = text.partition(":")
    kind = scheme.partition("+")[0].lower() if has_scheme else "file"
    if kind in _MODULES:
        make: SourceMaker = import_module(f"runlog_otel.sources.{_MODULES[kind]}").source_from_url
    else:
        make = _maker_elsewhere(kind, url)
    return make(text, settings)


def _maker_elsewhere(kind: str, url: str) -> SourceMaker:
    from importlib.metadata import entry_points

    makers = entry_points(group=ENTRY_POINTS)
    if kind not in makers.names:
        kinds = ", ".join(sorted({*_MODULES, *makers.names}))
        raise ConfigError("--source", f"{masked(url)} is of an unknown kind; known are {kinds} (docs/sources.md)")
    maker: SourceMaker = makers[kind].load()
    return maker


def one_line(error: Exception) -> str:
    """An error as a line of the log; an unforeseen one with its type."""
    text = str(error) if isinstance(error, RunlogOtelError) else f"{type(error).__name__}: {redacted(str(error))}"
    return " ".join(text.split())
