"""Remembers the runs that were not fully acknowledged: a marker file each; their spans are in the run log."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unsent:
    """A run that is to be sent again whole; `is_abandoned` says that its process ended before the run did."""

    run_id: str
    since: str
    reason: str
    is_abandoned: bool = False


class Outbox:
    """A folder of markers, named by the hash of the run id; many processes may write it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def add(self, run_id: str, reason: str, *, is_abandoned: bool = False) -> None:
        """Remember a run. A marker that is there already keeps its time.

        Raises:
            OSError: the folder cannot be written.
        """
        path = self._path(run_id)
        is_new, before = not path.exists(), _read(path)  # in this order: one that appears in between is not replaced
        if before is not None and before.is_abandoned >= is_abandoned:
            return
        since = before.since if before else datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(".tmp", path.stem, self.folder)  # no other thread or process has this one
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(Unsent(run_id, since, reason, is_abandoned)), file)
            if is_new and not is_abandoned:
                _put_first(temporary, path)
            else:
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def discard(self, run_id: str) -> None:
        """Forget a run: all of it was acknowledged."""
        self._path(run_id).unlink(missing_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether it has no marker, not even a damaged one."""
        return next(self.folder.glob("*.json"), None) is None

    def __contains__(self, run_id: str) -> bool:
        """Whether a run is remembered, even by a damaged marker."""
        return self._path(run_id).exists()

    def __iter__(self) -> Iterator[Unsent]:
        """The remembered runs, oldest first; a damaged marker is passed over."""
        markers = (_read(path) for path in self.folder.glob("*.json"))
        return iter(sorted((unsent for unsent in markers if unsent), key=lambda unsent: (unsent.since, unsent.run_id)))

    def _path(self, run_id: str) -> Path:
        name = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self.folder / f"{name}.json"


def _put_first(temporary: Path, path: Path) -> None:
    """Give a marker its name, unless another writer was first: that one may know that the run is abandoned."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        temporary.replace(path)


def _read(path: Path) -> Unsent | None:
    """The marker; None if it is damaged or not a regular file."""
    try:
        unsent = Unsent(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = (unsent.run_id, unsent.since, unsent.reason) if unsent else (None,)
    return unsent if all(isinstance(text, str) for text in texts) else None
