"""One odd run among many: it is reported once, counted as a failure, and stops no other, after a restart neither."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.cli.loading import source
from runlog_otel.core import semconv
from runlog_otel.core.model import Run
from runlog_otel.errors import SourceError
from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.service.resending import Resender
from runlog_otel.service.service import ServeOptions, Service
from runlog_otel.service.state import State
from runlog_otel.settings import Settings
from runlog_otel.sources.listing import Listing
from runlog_otel.sources.port import Source, source_from_url
from runlog_otel.stores.sql.history import RunFilter
from tests.core.logs import attempt, task, verdict
from tests.e2e.backend import Backend, answering, backend
from tests.exporters.metrics.test_prometheus import get
from tests.service.sources import LONG_AGO_NS, MemorySource, ended, going
from tests.service.test_service import gauge, runs_counted

GOLDEN = Path(__file__).parents[1] / "golden"
DEMO = json.loads((GOLDEN / "demo.log.json").read_text(encoding="utf-8"))
GOOD = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the run logs of a test are; its path is short enough for a socket."""
    made = tmp_path / "logs"
    made.mkdir()
    return made


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service over sources, with the state that the one before left."""
    running: list[Service] = []

    def start(*sources: Source, plan: ServeOptions | None = None) -> Service:
        for service in running:
            service.close()
        running[:] = [Service(sources, State(tmp_path / "serve.db"), plan)]
        return running[0]

    yield start
    for service in running:
        service.close()


def opened(folder: Path) -> Source:
    settings = Settings(time_zone="UTC", exporter="none", outbox=folder.parent / "unsent")
    return source_from_url(str(folder), settings, os.environ.get)


def write(path: Path, content: str, changed_ns: int) -> None:
    path.write_text(content, encoding="utf-8")
    os.utime(path, ns=(changed_ns, changed_ns))


def log(**changes: Any) -> str:
    return json.dumps({**DEMO, **changes})


def fill(folder: Path, odd: Sequence[str]) -> None:
    """Good runs, and between them odd ones: in the order of their writes, and of their names."""
    times = iter(range(LONG_AGO_NS, LONG_AGO_NS + 10**9, 10**6))
    for number in range(GOOD):
        write(folder / f"{number:02} good.json", log(run_id=f"good {number}"), next(times))
        for index, content in enumerate(odd[number::GOOD]):
            write(folder / f"{number:02} odd {index}.json", content, next(times))


def with_attempt(**fields: Any) -> str:
    document = json.loads(log(run_id="odd"))
    for step in document["steps"].values():
        for recorded in step["attempts"]:
            recorded.update(fields)
    return json.dumps(document)


UNREADABLE = (
    "",
    "{",
    "[]",
    "null",
    "\ufeff{}",
    '{"run_id": "odd", "steps": [',
    '{"a":' * 50_000 + "1" + "}" * 50_000,
    "[" * 100_000,
    log(run_id="odd", steps=[1]),
    log(run_id="odd", steps={"a": None}),
    log(run_id="odd", status="UNHEARD OF"),
    log(run_id="odd").replace('"attempt_number": 1', f'"attempt_number": {"9" * 5000}'),
)
"""What no mapping makes a run of."""
STRANGE = (
    with_attempt(start_time="1969-07-20 20:17:40", end_time="1969-07-20 20:18:00"),
    with_attempt(start_time="0001-01-01 00:00:00", end_time="0001-01-01 00:00:00"),
    with_attempt(start_time="2262-04-12 00:00:00", end_time="2262-04-13 00:00:00"),
    with_attempt(start_time="2554-08-01 00:00:00", end_time="9999-12-31 23:59:59"),
    with_attempt(end_time="9999-12-31 23:59:59"),
    with_attempt(message="\ud800" * 100),
    log(run_id="odd \ud800", tag="\udfff"),
    log(run_id="odd", run_config={"pipeline_definition_file": "\ud800.main"}),
    log(run_id="odd").replace('"node_type": "task"', '"node_type": "\\ud800"'),
    with_attempt(user_defined_metrics={"\ud800": 1, "big": 10**400, "nan": float("nan")}),
)
"""What a mapping may make a run of, or not."""


def test_runs_that_cannot_be_read_stop_no_other(folder: Path, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The good ones count exactly, the odd ones are counted and reported once, before and after a restart."""
    fill(folder, UNREADABLE)
    service = start(opened(folder))
    service.poll()
    service.poll()
    reported = [record.getMessage() for record in caplog.records if "is not counted" in record.getMessage()]
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == ({"success": GOOD}, len(UNREADABLE))
    assert len(reported) == len(set(reported)) == len(UNREADABLE)
    assert not any("\n" in line for line in reported)
    service = start(opened(folder))
    service.poll()
    write(folder / "new.json", log(run_id="new"), time.time_ns())
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == (
        {"success": GOOD + 1},
        len(UNREADABLE),
    )
    assert len([record for record in caplog.records if "is not counted" in record.getMessage()]) == len(UNREADABLE)


def test_strange_runs_stop_no_other_and_no_scrape(folder: Path, start: Start) -> None:
    """Whether they count or not: once, and a page of them can be served."""
    fill(folder, STRANGE)
    service = start(opened(folder))
    service.poll()
    before = runs_counted(service)
    assert before["success"] >= GOOD
    assert service.is_ready
    server = MetricsServer(service.table, "127.0.0.1:0")
    for accepted in ("text/plain", "application/openmetrics-text; version=1.0.0"):
        assert b"cicd_pipeline_run_duration_seconds_count" in get(f"{server.url}/metrics", {"Accept": accepted})
    server.close()
    service = start(opened(folder))
    service.poll()
    assert runs_counted(service) == before


def test_files_that_are_no_logs_stop_no_other(folder: Path, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A FIFO, a socket, loops of links, links to nothing and folders are passed over with a warning; nobody waits."""
    fill(folder, ())
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "nothing.json").symlink_to("nowhere")
    (folder / "device.json").symlink_to("/dev/zero")
    (folder / "folder.json").mkdir()
    (folder / "up").symlink_to("..")
    (folder / "run").mkdir()
    (folder / "run" / "RunLog.json").symlink_to("RunLog.json")
    os.mkfifo(folder / "fifo.json")
    with ExitStack() as closed:
        listening = closed.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(Path(os.path.relpath(folder)) / "s.json"))
        service = start(opened(folder))
        service.poll()
        service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": GOOD}, True)
    passed = [record.getMessage() for record in caplog.records if "is passed over" in record.getMessage()]
    wanted = {"loop.json", "nothing.json", "device.json", "folder.json", "fifo.json", "s.json", "run/RunLog.json"}
    assert sorted(line.partition(" is passed over")[0] for line in passed) == sorted(str(folder / it) for it in wanted)


def test_a_run_that_can_be_read_again_counts(tmp_path: Path, start: Start) -> None:
    """After a restart, though it was not written again: a right to read it was given, or the program can now."""
    source = MemorySource(tmp_path, torn={"r"})
    source.put(ended("r"), LONG_AGO_NS)
    service = start(source)
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == ({}, 1)
    source.torn.clear()
    service = start(source)
    service.poll()
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == ({"success": 1}, 1)
    assert source.read == ["r"]


@pytest.mark.parametrize("kind", ["file-system", "chunked-fs"])
def test_odd_runs_in_the_store_of_a_config_stop_no_other(
    tmp_path: Path, folder: Path, start: Start, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host reads them, and raises what it likes; a FIFO in the place of a chunk blocks nobody."""
    monkeypatch.chdir(tmp_path)
    contents = {"a": log(run_id="a"), "b": "", "c": '{"a":' * 50_000, "d": "[]", "e": "{}", "f": log(run_id="f")}
    for run_id, content in contents.items():
        path = folder / f"{run_id}.json" if kind == "file-system" else folder / run_id / "RunLog.json"
        path.parent.mkdir(exist_ok=True)
        write(path, content, LONG_AGO_NS)
    if kind == "chunked-fs":
        (folder / "g").mkdir()
        write(folder / "g" / "RunLog.json", log(run_id="g"), LONG_AGO_NS)
        write(folder / "g" / "BranchLog-x.json", "[1]", LONG_AGO_NS)
        (folder / "h").mkdir()
        write(folder / "h" / "RunLog.json", log(run_id="h"), LONG_AGO_NS)
        os.mkfifo(folder / "h" / "BranchLog-x.json")
    inner = {"type": kind, "config": {"log_folder": str(folder)}}
    config = {"type": "otel", "config": {"inner": inner, "telemetry": {"exporter": "none"}}}
    (tmp_path / "config.yaml").write_text(json.dumps({"run-log-store": config}))
    service = start(source("", "config.yaml"))
    service.poll()
    service = start(source("", "config.yaml"))
    service.poll()
    odd = 4 if kind == "file-system" else 6
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == ({"success": 2}, odd)


@pytest.mark.parametrize(
    "failure", [RecursionError(), TypeError("None"), OverflowError("int too large"), MemoryError()]
)
def test_what_nobody_foresaw_stops_no_other(
    tmp_path: Path, start: Start, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported with its kind, and the run counts when it is written again."""
    source = MemorySource(tmp_path)
    for number in range(GOOD):
        source.put(ended(f"r{number}"), LONG_AGO_NS + number)
    source.fails_at, source.failure = "r2", failure
    start(source).poll()
    service = start(source)
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": GOOD - 1}, True)
    assert gauge(service, semconv.EXPORTER_FAILURES) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"r2 is not counted: {type(failure).__name__}")
    source.fails_at = ""
    source.put(ended("r2"))
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == ({"success": GOOD}, 1)


def test_a_run_whose_second_execution_cannot_be_counted_is_not_counted_by_half(tmp_path: Path, start: Start) -> None:
    """Neither in the totals nor in the state: when it is mended it counts whole, once."""
    source = MemorySource(tmp_path)
    again = replace(attempt(11, 13), number=2)
    steps = (task("a", attempt(1, 3, ok=False), again), *ended("r").steps[1:])
    both = replace(
        ended("r"),
        steps=(steps[0], verdict("fail", 4), replace(verdict("success", 14), path="success", name="success")),
    )
    beyond = replace(again, end_ns=10**40)
    broken = replace(both, steps=(replace(steps[0], attempts=(steps[0].attempts[0], beyond)), *both.steps[1:]))
    source.put(broken, LONG_AGO_NS)
    service = start(source)
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.EXPORTER_FAILURES)) == ({}, 1)
    source.put(both)
    service.poll()
    assert runs_counted(service) == {"failure": 1, "success": 1}


def test_an_active_run_that_became_odd_is_closed_without_a_count(tmp_path: Path, start: Start) -> None:
    """And those after it are closed."""
    source = MemorySource(tmp_path)
    for run_id in ("a", "b", "c"):
        source.put(going(run_id), LONG_AGO_NS)
    service = start(source)
    service.poll()
    assert gauge(service, semconv.RUNS_ACTIVE) == 3
    source.fails_at, source.failure = "b", RecursionError()
    service = start(source, plan=ServeOptions(abandoned_after=timedelta(minutes=1)))
    service.poll()
    assert (gauge(service, semconv.RUNS_ACTIVE), runs_counted(service)) == (0, {"error": 2})
    assert gauge(service, semconv.EXPORTER_FAILURES) == 1


def test_a_run_at_which_its_source_fails_again_and_again_stops_no_other(tmp_path: Path, start: Start) -> None:
    """A server that answers 500 for one execution is not down: the second time it is the run's fault."""
    source = MemorySource(tmp_path)
    for number in range(GOOD):
        source.put(ended(f"r{number}"), LONG_AGO_NS + number)
    source.fails_at, source.failure = "r1", SourceError("memory", "answers HTTP 500")
    service = start(source)
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": 1}, False)
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": GOOD - 1}, True)
    service.poll()
    assert gauge(service, semconv.EXPORTER_FAILURES) == 2  # the first poll, and the run


def test_a_source_that_is_down_for_long_sets_no_run_aside(tmp_path: Path, start: Start) -> None:
    """It fails at the run after it, too."""
    source = MemorySource(tmp_path)
    down = [True]

    def run(run_id: str, read: Callable[[str], Run] = source.run) -> Run:
        if down[0]:
            raise SourceError("memory", "cannot be reached")
        return read(run_id)

    source.run = run  # type: ignore[method-assign]
    for number in range(GOOD):
        source.put(ended(f"r{number}"), LONG_AGO_NS + number)
    service = start(source)
    for _ in range(4):
        service.poll()
    down[0] = False
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": GOOD}, True)


def test_a_source_that_lists_in_an_unforeseen_way_stops_no_other(tmp_path: Path, start: Start) -> None:
    """It is a source that failed."""

    class Odd(MemorySource):
        def changes(self, since_ns: int) -> list[Any]:
            raise KeyError("columns")

    good = MemorySource(tmp_path)
    good.put(ended("r"), LONG_AGO_NS)
    service = start(Odd(tmp_path, where="odd"), good)
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": 1}, False)


def test_a_log_that_cannot_be_sent_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is raised; it is reported once, and stays remembered."""
    source = MemorySource(tmp_path)
    for number in range(3):
        source.put(ended(f"r{number}"), LONG_AGO_NS)
    source.fails_at, source.failure = "r0", RecursionError()
    with backend(answering(200)) as server:
        resender = _healer(source, server)
        for number in range(3):
            resender.remember(f"r{number}", "a test wants it")
        resender.resend()
        resender.resend()
        assert [marker.run_id for marker in Outbox(tmp_path / "unsent")] == ["r0"]
        resender.close()
    assert [record.getMessage() for record in caplog.records] == ["r0 is not sent: RecursionError:"]


def _healer(source: MemorySource, server: Backend) -> Resender:
    source.send_by(endpoint=server.url)
    return Resender(source, SeriesTable())


def test_what_nobody_foresaw_hides_no_other_run_from_a_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over with a warning."""
    memory = MemorySource(tmp_path)
    for number in range(3):
        memory.put(ended(f"r{number}"), LONG_AGO_NS + number)
    memory.fails_at, memory.failure = "r1", RecursionError("too deep")
    assert [run.run_id for run in Listing(memory).page(RunFilter()).runs] == ["r2", "r0"]
    assert [record.getMessage() for record in caplog.records] == ["r1 is not listed: RecursionError: too deep"]
