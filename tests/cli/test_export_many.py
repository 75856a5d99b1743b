"""`runlog-otel export` of many runs: in bounded memory, in several processes, and when it is cut off."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from runlog_otel.cli.export import Selection, export_runs
from runlog_otel.cli.exporting import Candidate, ExportOptions, exported
from runlog_otel.core.model import Run, StoredRun
from runlog_otel.errors import SourceError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files
from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS
from tests.exporters.spans import Backend, backend

SPANS = len(json.loads((GOLDEN / "demo.spans.json").read_text(encoding="utf-8"))["executions"][0]["spans"])
"""How many spans the run has that is copied here."""
RUNS_IN_A_REQUEST = 512 // SPANS


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


def copies(folder: Path, count: int) -> list[str]:
    """The ids of so many copies of a run in a folder."""
    document = json.loads((GOLDEN / "demo.log.json").read_text(encoding="utf-8"))
    run_ids = [f"copy-{number:03}" for number in range(count)]
    folder.mkdir(exist_ok=True)
    for run_id in run_ids:
        (folder / f"{run_id}.json").write_text(json.dumps(document | {"run_id": run_id}), encoding="utf-8")
    return run_ids


def span_ids(lines: Iterable[str]) -> list[str]:
    """The ids of all spans in a file of OTLP/JSON."""
    requests = [json.loads(line)["resourceSpans"] for line in lines]
    return [s["spanId"] for request in requests for rs in request for ss in rs["scopeSpans"] for s in ss["spans"]]


def unsent(project: Path) -> list[str]:
    return sorted(marker.run_id for marker in Outbox(project / ".runlog-otel" / "unsent"))


def test_runs_share_requests(command: Command, server: Backend, project: Path) -> None:
    """Hundreds of them are sent in few."""
    copies(project / "many", 300)
    called = command("export", "--all", "--source", "many", "--jobs", "1", "--endpoint", server.url)
    assert (called.status, called.out.split(",")[0]) == (0, "300 runs")
    assert len(server.requests) == -(-300 // RUNS_IN_A_REQUEST)


def test_several_processes_send_what_one_sends(command: Command, server: Backend, project: Path) -> None:
    """Each span once, whichever process sends it."""
    copies(project / "many", 230)
    spans = []
    for jobs in ("1", "3"):
        server.requests.clear()
        called = command("export", "--all", "--source", "many", "--jobs", jobs, "--endpoint", server.url, "--json")
        assert called.status == 0
        runs = json.loads(called.out)["runs"]
        assert (len(runs), {run["is_acknowledged"] for run in runs}) == (230, {True})
        spans.append(sorted(server.span_names()))
    assert spans[0] == spans[1]


def test_the_config_of_a_host_is_read_by_each_process(command: Command, project: Path) -> None:
    """Its store, its endpoint and its headers."""
    run_ids = copies(project / ".run_log_store", 120)
    assert command("export", "--all", "--jobs", "2").out.startswith(f"{len(run_ids) + len(RUNS)} runs, ")
    several = span_ids((project / "traces.jsonl").read_text(encoding="utf-8").splitlines())
    assert len(several) == len(set(several))


def test_an_error_of_the_call_is_the_same_in_several_processes(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that is not there."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem")
    one, two = (command("export", "--all", "--endpoint", "https://localhost:1", "--jobs", jobs) for jobs in "12")
    assert (one.status, two) == (2, one)


_DEADLY = """
import os, signal, sys
from functools import partial
from pathlib import Path
from runlog_otel.cli.export import Selection, export_runs
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files

class Deadly(Files):
    def run(self, run_id):
        if run_id == "copy-007":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(run_id)

if __name__ == "__main__":
    load = partial(Deadly, Path("many"), Settings.load({"endpoint": Path("traces.jsonl").absolute().as_uri()}, {}))
    options = {"close": False, "dry_run": False, "as_json": True, "jobs": 2, "load": load}
    sys.exit(export_runs(load(), Selection(every=True), [Path("unsent")], **options))
"""


def test_the_runs_of_a_process_that_is_killed_are_not_sent(tmp_path: Path) -> None:
    """Each run is reported once, and those that were lost are remembered; the other process sends the rest."""
    run_ids = copies(tmp_path / "many", 230)
    (tmp_path / "program.py").write_text(_DEADLY, encoding="utf-8")
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["not_tried"]) == (1, 0)
    assert sorted(run["run_id"] for run in report["runs"]) == run_ids
    lost = sorted(run["run_id"] for run in report["runs"] if not run["is_acknowledged"])
    assert "copy-007" in lost
    assert {run["problem"] for run in report["runs"] if not run["is_acknowledged"]} == {
        "the process that exported it was killed by signal 9"
    }
    assert sorted(marker.run_id for marker in Outbox(tmp_path / "unsent")) == lost
    assert 0 < len(lost) <= 100


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupted_export_remembers_what_it_has_sent_in_part(
    project: Path, server: Backend, command: Command, jobs: str
) -> None:
    """Nothing that was not acknowledged is forgotten, nothing that was acknowledged is remembered."""
    run_ids = copies(project / "many", 200)
    outbox = Outbox(project / ".runlog-otel" / "unsent")
    for run_id in run_ids:
        outbox.add(run_id, "HTTP 503")
    arrived, is_over = threading.Event(), threading.Event()

    def hold(_: object) -> bool:
        arrived.set()
        return not is_over.wait(60)

    server.act = hold
    export = ["export", "--all", "--source", "many", "--jobs", jobs, "--endpoint", server.url]
    with subprocess.Popen(
        [sys.executable, "-m", "runlog_otel", *export], cwd=project, stderr=subprocess.PIPE, text=True
    ) as process:
        assert arrived.wait(60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    is_over.set()
    assert (process.returncode, err) == (130, "")
    assert unsent(project) == run_ids
    server.act = None
    assert command(*export).status == 0
    assert unsent(project) == []


def test_memory_does_not_grow_with_the_number_of_runs(tmp_path: Path, server: Backend) -> None:
    """At no time are more runs read than fit into the requests that wait."""
    (run_id,) = copies(tmp_path / "many", 1)
    source = Files(tmp_path / "many", Settings.load({"endpoint": server.url}, {}))
    requests_that_wait, runs_read_at_once = 10, 40
    read = 0
    ahead = []

    def candidates() -> Iterator[Candidate]:
        nonlocal read
        for read in range(1, 2_001):  # noqa: B007 others look at it
            yield Candidate(run_id)

    def note(_: object) -> bool:
        ahead.append(read - len(server.requests) * RUNS_IN_A_REQUEST)
        return False

    server.act = note
    outcomes = exported(candidates(), source, ExportOptions((tmp_path / "unsent",)))
    assert sum(outcome is not None and outcome.is_acknowledged for outcome in outcomes) == 2_000
    assert max(ahead) <= requests_that_wait * RUNS_IN_A_REQUEST + runs_read_at_once


def test_the_order_of_runs_changes_nothing(tmp_path: Path) -> None:
    """The same spans arrive."""
    run_ids = copies(tmp_path / "many", 150)
    arrived = []
    for order, name in ((run_ids, "there.jsonl"), (run_ids[::-1], "back.jsonl")):
        source = Files(tmp_path / "many", Settings.load({"endpoint": (tmp_path / name).as_uri()}, {}))
        selection = Selection(tuple(order))
        assert export_runs(source, selection, [tmp_path / "unsent"], close=False, dry_run=False, as_json=True) == 0
        arrived.append(sorted(span_ids((tmp_path / name).read_text(encoding="utf-8").splitlines())))
    assert arrived[0] == arrived[1]


def test_a_backend_that_is_down_stops_an_export(command: Command, server: Backend, project: Path) -> None:
    """Failed runs are remembered, the others are counted; one line says so."""
    for number, name in enumerate(("demo", "job", "retried", "demo", "job", "demo")):
        document = json.loads((GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))
        document["run_config"] = {"pipeline_definition_file": f"pipeline {number}"}
        (project / ".run_log_store" / f"run {number}.json").write_text(
            json.dumps(document | {"run_id": f"run {number}"}), encoding="utf-8"
        )
    server.status, server.headers = 503, {"Retry-After": "3600"}
    called = command("export", "--all", "--endpoint", server.url, "--json")
    report = json.loads(called.out)
    failed = sorted(run["run_id"] for run in report["runs"])
    assert (called.status, {run["is_acknowledged"] for run in report["runs"]}) == (1, {False})
    assert (len(failed) + report["not_tried"], unsent(project)) == (6 + len(RUNS), failed)


class Interrupted(Files):
    """A source that cannot be listed to its end."""

    def changes(self, since_ns: int) -> Iterator[StoredRun]:
        """All runs, then an error."""
        yield from super().changes(since_ns)
        raise SourceError(self.where, "is gone")


class Gone(Files):
    """A source that cannot be reached after its first run."""

    def read_runs(self, run_ids: object) -> Iterator[Run | Exception]:
        """One run, then an error."""
        yield self.run(RUNS["demo"])
        raise SourceError(self.where, "is gone")


def test_what_was_listed_before_an_error_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then the error is raised."""
    copies(tmp_path / "many", 50)
    source = Interrupted(tmp_path / "many", Settings.load({"endpoint": (tmp_path / "traces.jsonl").as_uri()}, {}))
    with pytest.raises(SourceError, match="is gone"):
        export_runs(source, Selection(every=True), [tmp_path / "unsent"], close=False, dry_run=False, as_json=False)
    assert capsys.readouterr().out.startswith("50 runs, ")


def test_each_run_that_cannot_be_reached_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those after the one where it failed."""
    shutil.copy(GOLDEN / "demo.log.json", tmp_path / f"{RUNS['demo']}.json")
    source = Gone(tmp_path, Settings.load({"endpoint": (tmp_path / "traces.jsonl").as_uri()}, {}))
    selection = Selection((RUNS["demo"], "b", "c"))
    status = export_runs(source, selection, [tmp_path / "unsent"], close=False, dry_run=False, as_json=True)
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert (status, [(run["run_id"], run["problem"]) for run in runs]) == (
        1,
        [(RUNS["demo"], ""), *((run_id, f"{source.where}: is gone") for run_id in ("b", "c"))],
    )
