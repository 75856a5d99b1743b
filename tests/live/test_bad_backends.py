"""Whatever the backend does, a run is recorded as without it, its process ends, and nothing is lost."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.cli.export import Selection, export_runs
from runlog_otel.exporters.traces.delivery import shared_delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from runlog_otel.sources.port import source_from_url
from tests.e2e.backend import BEHAVIOURS, Backend, Sent, answering, backend, closed, healthy
from tests.e2e.programs import RUN, begin, end, record, wrapper
from tests.hosts.project import LOGS
from tests.hosts.test_invisible import without_times

BUDGET_SECONDS = 0.3
BAD = ("closed", "redirect", *BEHAVIOURS)
STEPS = ("load", "work", "publish")


@dataclass
class Recorded:
    """A run in a folder of its own, recorded through the wrapper while a backend behaved in some way."""

    folder: Path
    acknowledged: set[Sent]

    @property
    def log(self) -> Any:
        """Its log as it is on the disk, without times and header."""
        document = without_times(json.loads((self.folder / LOGS / f"{RUN}.json").read_text(encoding="utf-8")))
        document["run_config"].pop("runlog_otel")
        return document

    @property
    def unsent(self) -> list[str]:
        """The runs that the outbox remembers."""
        return [marker.run_id for marker in Outbox(self._outbox)]

    def export(self, url: str, *, dry_run: bool = False) -> int:
        """Do as `export --unsent`, with `--dry-run --json` where asked for, and return its exit status."""
        settings = Settings.load({"endpoint": url, "pipeline": "program", "outbox": str(self._outbox)}, {})
        source = source_from_url(f"file:{self.folder / LOGS}", settings, lambda _: None)
        selection = Selection(unsent=True)
        return export_runs(source, selection, [self._outbox], close=False, dry_run=dry_run, as_json=dry_run)

    @property
    def _outbox(self) -> Path:
        return self.folder / "unsent"


def recorded(folder: Path, url: str, server: Backend | None, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Record a run of some steps, and end as a process does."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    telemetry = {"exit_budget_seconds": BUDGET_SECONDS, "outbox": str(folder / "unsent")}
    store = wrapper("file-system", url, **telemetry)
    begin(store)
    for name in STEPS:
        record(store, name)
    end(store)
    settings = Settings.load({"endpoint": url, "pipeline": "program", **telemetry}, {})
    shared_delivery(settings, Outbox(settings.outbox)).close()
    return Recorded(folder, server.spans_of(RUN) if server else set())


@contextmanager
def bad(name: str, elsewhere: str) -> Iterator[tuple[str, Backend | None]]:
    """The URL of a backend that behaves in that way, and the backend, if something listens there."""
    if name == "closed":
        with closed() as url:
            yield url, None
    else:
        redirect = answering(308, Location=f"{elsewhere}/v1/traces")
        with backend(BEHAVIOURS.get(name, redirect)) as server:
            yield server.url, server


@pytest.fixture
def target() -> Iterator[Backend]:
    """A healthy backend, which redirects point to."""
    with backend(healthy) as server:
        yield server


@pytest.mark.parametrize("name", BAD)
def test_a_run_is_recorded_remembered_and_delivered_later(
    tmp_path: Path, target: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The log is that of a run with a healthy backend; the export sends the whole trace, what was taken before too."""
    with backend(healthy) as server:
        well = recorded(tmp_path / "healthy", server.url, server, monkeypatch)
    with bad(name, target.url) as (url, behaving):
        run = recorded(tmp_path / name, url, behaving, monkeypatch)
    assert run.log == well.log
    assert (well.unsent, run.unsent) == ([], [RUN])
    assert run.export(target.url, dry_run=True) == 0
    (listed,) = json.loads(capsys.readouterr().out)["runs"]
    assert target.requests == []
    assert run.export(target.url) == 0
    assert run.unsent == []
    delivered = target.spans_of(RUN)
    assert (listed["run_id"], listed["spans"], listed["is_complete"]) == (RUN, len(delivered), True)
    assert run.acknowledged <= delivered
    assert sorted(span.name for span in target.acknowledged) == sorted(span.name for span in well.acknowledged)
    ids = {span.span_id for span in delivered}
    assert [span.name for span in delivered if span.parent not in ids] == ["RUN program"]
    assert behaving is None or (behaving.broken == [] and (behaving.requests != []) == (name != "silent"))


@pytest.mark.parametrize("name", ["redirect", "503", "partial-success"])
def test_an_export_to_a_bad_backend_fails_and_keeps_the_run(
    tmp_path: Path, target: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """`export --unsent` ends with status 1, says why, and the run stays unsent."""
    with bad(name, target.url) as (url, behaving):
        run = recorded(tmp_path / name, url, behaving, monkeypatch)
        assert run.export(url) == 1
    assert f"error: {RUN}: " in capsys.readouterr().err
    assert (run.unsent, target.requests) == ([RUN], [])
