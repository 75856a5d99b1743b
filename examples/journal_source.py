"""A custom source: a program writes its runs to a journal, one line of JSON when a run has ended.

Its URL is `journal:///PATH` when an installed package has this in its `pyproject.toml`:

    [project.entry-points."runlog_otel.sources"]
    journal = "journal_source:source_from_url"

Then `runlog-otel show --source journal:///var/log/jobs.jsonl RUN_ID`, and so on. A line looks like this:

    {"id": "nightly-17", "job": "nightly", "start": 1790000000.0, "seconds": 12.5, "error": "disk full"}
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlog_otel import Attempt, Run, RunNotFoundError, Settings, Source, SourceError, Status, Step, StoredRun


class Journal(Source):
    """The runs in a journal. `runlog_otel.Source` documents the contract of each method."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.settings = settings
        self._path = path

    @property
    def where(self) -> str:
        return str(self._path)

    def changes(self, since_ns: int) -> list[StoredRun]:
        runs = (StoredRun(line["id"], _end_ns(line)) for line in self._lines())
        return sorted((run for run in runs if run.changed_ns >= since_ns), key=lambda run: run.changed_ns)

    def run(self, run_id: str) -> Run:
        line = next((line for line in self._lines() if line["id"] == run_id), None)
        if line is None:
            raise RunNotFoundError(run_id, self.where)
        error = line.get("error", "")
        status = Status.FAIL if error else Status.SUCCESS
        attempt = Attempt(1, status, round(line["start"] * 1e9), _end_ns(line), message=error)
        step = Step(name=line["job"], path="job", kind="job", status=status, attempts=(attempt,))
        pipeline = self.settings.pipeline or line["job"]
        return Run(run_id=run_id, pipeline=pipeline, host="journal", status=status, steps=(step,))

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)
        except (OSError, ValueError) as error:
            raise SourceError(self.where, str(error)) from error


def _end_ns(line: dict[str, Any]) -> int:
    return round((line["start"] + line["seconds"]) * 1e9)


def source_from_url(url: str, settings: Settings) -> Journal:
    return Journal(Path(urlsplit(url).path), settings)
