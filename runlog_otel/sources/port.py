"""Whatever can list and read runs, named by a URL: the port that commands and `serve` read by.

A source is a module of its own; docs/sources.md shows how to write one.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import entry_points
from typing import ClassVar, Protocol

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.redaction import redacted
from runlog_otel.errors import ConfigError, RunlogOtelError, RunNotFoundError
from runlog_otel.settings import Settings
from runlog_otel.stores.connection_string import filled, masked
from runlog_otel.stores.entries import Document

ENTRY_POINTS = "runlog_otel.sources"
"""The group of the functions that make sources: each is named by what its URLs begin with, up to `+` or `:`."""


class Source(Protocol):
    """Runs, wherever they are kept."""

    @property
    def settings(self) -> Settings:
        """How its runs are mapped, and where their traces go."""

    @property
    def where(self) -> str:
        """The place, for messages and in what `serve` keeps: the same one at each start."""

    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        """The runs that were written at or after a moment, in the order of their last write.

        Raises:
            RunlogOtelError: they cannot be listed.
        """

    def run(self, run_id: str) -> Run:
        """A whole run.

        Raises:
            RunNotFoundError: there is none of that id.
            RunLogFormatError: what there is cannot be read as a run.
            RunlogOtelError: the source cannot be reached.
        """

    def missing(self, run_ids: Sequence[str]) -> Iterable[str]:
        """Those of some runs, listed before, that are certainly not there any more; none where that cannot be told.

        `serve` asks this of the runs that have not ended, after `changes`, at each look: it must cost little.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """
        return ()

    def size_bytes(self) -> int | None:
        """What the runs take on the disk; None where it is not known at once.

        Raises:
            RunlogOtelError: the source cannot be reached.
        """

    def close(self) -> None:
        """Give connections back; the next call opens new ones."""


class RunLogs:
    """What a source also is whose runs are run logs of runnable or magnus, verbatim: they are compared, and copied."""

    __slots__ = ()
    not_found: ClassVar[type[Exception]] = RunNotFoundError

    @staticmethod
    def outside_a_run(_: str) -> AbstractContextManager[None]:
        """See `sources.copying.RunLogs`: nothing."""
        return nullcontext()

    @abstractmethod
    def document(self, run_id: str) -> Document:
        """A whole run log; raises as `Source.run`."""


class RunLogTarget(RunLogs):
    """What a source is, too, that takes run logs."""

    __slots__ = ()

    @abstractmethod
    def prepare(self) -> None:
        """Make what is missing, before the first is put."""

    @abstractmethod
    def put(self, document: Document) -> None:
        """Add a run log, or merge it into the one that is there; doing it again changes nothing. Raises StoreError."""

    @staticmethod
    def as_kept(document: Document) -> Document:
        """How a run log will be read back, once it was put: as it is."""
        return document


SourceMaker = Callable[[str, Settings], Source]
"""Makes a source of a URL, whose placeholders are filled, and settings; raises RunlogOtelError."""


def source_from_url(url: str, settings: Settings, secret: Callable[[str], str | None]) -> Source:
    """The source that a URL, or the path of a folder or file, names.

    Args:
        url: it; `${NAME}` in it stands for a secret.
        settings: how runs are mapped, and where their traces go.
        secret: the value of a secret, or None.

    Raises:
        ConfigError: the URL names no source that is known, or a secret has no value.
        RunlogOtelError: what the kind of source raises.
    """
    text = filled(url, secret, "--source")
    scheme, has_scheme, _ = text.partition(":")
    kind = scheme.partition("+")[0].lower() if has_scheme else "file"
    found = entry_points(group=ENTRY_POINTS, name=kind)
    if not found:
        known = ", ".join(sorted(entry_points(group=ENTRY_POINTS).names))
        raise ConfigError("--source", f"{masked(url)} is of an unknown kind; known are {known} (docs/sources.md)")
    make: SourceMaker = next(iter(found)).load()
    return make(text, settings)


def one_line(error: Exception) -> str:
    """An error as a line of the log; of one that nobody foresaw its kind, too."""
    text = str(error) if isinstance(error, RunlogOtelError) else f"{type(error).__name__}: {redacted(str(error))}"
    return " ".join(text.split())
