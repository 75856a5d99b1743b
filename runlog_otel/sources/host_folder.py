"""The runs of a host's config whose store is a folder of files: read as the host reads them, without importing it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from runlog_otel.core.model import ExecutionLog, Run, StoredRun
from runlog_otel.core.redaction import redacted
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.errors import RunlogOtelError, SourceError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogTarget
from runlog_otel.stores.entries import Document
from runlog_otel.stores.files import (
    changed_in,
    document_in_file,
    ordered,
    refuse_odd_files,
    runs_in_folder,
    runs_missing,
)

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output

_TEXTS = ("run_id", "dag_hash", "tag", "status")
"""The host refuses a log where one of these is anything else."""


@dataclass(frozen=True)
class HostFolder(RunLogTarget):
    """Lists and maps the runs; the host is loaded to write, to read a log verbatim, and where one cannot be read."""

    folder: str
    settings: Settings
    load: Callable[[], RunLogTarget]
    """Loads the host, and its own view of the same store."""

    @cached_property
    def _by_host(self) -> RunLogTarget:
        return self.load()

    @property
    @override
    def where(self) -> str:
        return f"file-system store {self.folder}"

    @override
    def changes(self, since_ns: int) -> Iterable[StoredRun]:
        try:
            return ordered(runs_in_folder(Path(self.folder), chunks=False), since_ns)
        except RunlogOtelError:
            raise
        except Exception as error:
            raise SourceError(self.where, f"cannot be read: {redacted(str(error))}") from error

    @override
    def run(self, run_id: str) -> Run:
        folder = Path(self.folder)
        try:
            refuse_odd_files(folder, run_id)
            document = document_in_file(folder / f"{run_id}.json")
            if all(isinstance(document.get(name) or "", str) for name in _TEXTS):
                return run_from_log(document, self.settings.pipeline, self.settings.zone)
        except Exception:  # noqa: BLE001, S110 - the host, asked next, says what is wrong
            pass
        return self._by_host.run(run_id)

    @override
    def output(self, run_id: str, log: ExecutionLog) -> "Output | None":
        return self._by_host.output(run_id, log)

    @override
    def changed_ns(self, run_id: str) -> int | None:
        return changed_in(Path(self.folder), run_id)

    @override
    def missing(self, run_ids: Sequence[str]) -> Iterable[str]:
        return runs_missing(Path(self.folder), run_ids)

    @override
    def document(self, run_id: str) -> Document:
        return self._by_host.document(run_id)

    @override
    def outside_a_run(self, run_id: str) -> AbstractContextManager[None]:
        return self._by_host.outside_a_run(run_id)

    @override
    def prepare(self) -> None:
        self._by_host.prepare()

    @override
    def put(self, document: Mapping[str, Any]) -> None:
        self._by_host.put(dict(document))

    @override
    def as_kept(self, document: Document) -> Document:
        return self._by_host.as_kept(document)
