"""`file:///FOLDER`: run logs as the hosts' file-system and chunked stores write them; `file:///FILE.json`: one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from runlog_otel.core.model import Run, StoredRun
from runlog_otel.core.redaction import bounded, redacted
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import ConfigError, RunLogFormatError, RunNotFoundError, SourceError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogs
from runlog_otel.stores.entries import Document
from runlog_otel.stores.files import changed_in, document_in, document_in_file, ordered, runs_in_folder, runs_missing

_MAX_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class Files(RunLogs):
    """The run logs in a folder, or the one in a file."""

    path: Path
    settings: Settings

    @property
    @override
    def where(self) -> str:
        return str(self.path)

    @override
    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        if not self.path.exists():
            raise SourceError(self.where, "is not there any more")
        try:
            if self.path.is_file():
                run_id = str(document_in_file(self.path).get("run_id"))
                return ordered([StoredRun(run_id, self.path.stat().st_mtime_ns)], since_ns)
            return ordered(runs_in_folder(self.path), since_ns)
        except OSError as error:
            raise SourceError(self.where, f"cannot be listed: {error.strerror}") from error

    @override
    def document(self, run_id: str) -> Document:
        if not self.path.is_file():
            return document_in(self.path, run_id)
        document = document_in_file(self.path)
        if document.get("run_id") != run_id:
            raise RunNotFoundError(run_id, self.where)
        return document

    @override
    def changed_ns(self, run_id: str) -> int | None:
        return None if self.path.is_file() else changed_in(self.path, run_id)

    @override
    def missing(self, run_ids: Sequence[str]) -> list[str]:
        return [] if self.path.is_file() else runs_missing(self.path, run_ids)


def run_from_file(path: Path, settings: Settings) -> Run:
    """A run log in a JSON file, as the file-system store writes it.

    Raises:
        RunLogFormatError: the file cannot be read, or is no run log.
    """
    document = document_in_file(path)
    try:
        return run_from_log(document, settings.pipeline, settings.zone)
    except RunLogFormatError as error:
        raise RunLogFormatError(str(path), str(error.__cause__ or error)) from error


def source_from_url(url: str, settings: Settings) -> Files:
    """The folder or file of a `file:` URL, or of a path.

    Raises:
        ConfigError: there is none.
    """
    try:
        parts = urlsplit(url)
        path = Path(unquote(parts.path) if parts.scheme == "file" else url).absolute()
        is_there = path.exists()
    except (OSError, ValueError) as error:  # too long, a NUL in it, a bracket that does not close
        problem = error.strerror if isinstance(error, OSError) else error
        shown = bounded(redacted(url), _MAX_SHOWN_BYTES)
        raise ConfigError("--source", f"{shown} names no folder and no file: {problem}") from error
    if not is_there:
        raise ConfigError("--source", f"there is no folder and no file {path}")
    return Files(path, settings)
