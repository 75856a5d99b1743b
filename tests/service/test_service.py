"""Each execution counts once: whatever is read twice, fails, restarts, disappears or never ends."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from runlog_otel.core import semconv
from runlog_otel.core.model import Run
from runlog_otel.errors import StoreError
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.service.service import Resend, ServeOptions, Service
from runlog_otel.service.state import State
from tests.core.logs import START, attempt, run, task, verdict
from tests.e2e.backend import backend, healthy
from tests.service.sources import LONG_AGO_NS, MemorySource, ended, going

Start = Callable[..., Service]


@pytest.fixture
def source(tmp_path: Path) -> MemorySource:
    """Without runs."""
    return MemorySource(tmp_path)


@pytest.fixture
def start(tmp_path: Path, source: MemorySource) -> Iterator[Start]:
    """Starts a service over the source, with the state that the one before left."""
    running: list[Service] = []

    def start(plan: ServeOptions | None = None, *more: MemorySource) -> Service:
        for service in running:
            service.close()
        running[:] = [Service([source, *more], State(tmp_path / "serve.db"), plan)]
        return running[0]

    yield start
    for service in running:
        service.close()


def runs_counted(service: Service) -> dict[str, int]:
    """Executions by result, where there are any."""
    return {
        dict(labels)[semconv.PIPELINE_RESULT]: series.count
        for metric, rows in service.table.snapshot()
        for labels, series in rows
        if metric.name == semconv.RUN_DURATION and series.count
    }


def gauge(service: Service, name: str) -> float:
    """The value of a metric with one series."""
    ((_, ((_, series),)),) = [(m, rows) for m, rows in service.table.snapshot() if m.name == name]
    return series.value


def test_a_run_counts_once(source: MemorySource, start: Start) -> None:
    """However often it is listed, and written again without a new execution."""
    service = start()
    source.put(ended("r"))
    service.poll()
    service.poll()
    source.put(ended("r"))
    service.poll()
    assert runs_counted(service) == {"success": 1}


@pytest.mark.parametrize(
    "log",
    [
        replace(run(task("a", attempt(30, 50)), verdict("success", 10)), run_id="behind"),
        replace(run(), run_id="without steps"),
    ],
    ids=lambda log: log.run_id,
)
def test_what_has_ended_is_not_abandoned_later(source: MemorySource, start: Start, log: Run) -> None:
    """A verdict whose clock is behind, and a log without steps: one success, and no error when nothing moves."""
    service = start(ServeOptions(abandoned_after=timedelta(seconds=1)))
    source.put(log, LONG_AGO_NS)
    service.poll()
    service.poll()
    assert runs_counted(service) == {"success": 1}


def test_totals_survive_a_restart(source: MemorySource, start: Start) -> None:
    """They go on from where they were, and what was counted is not counted again."""
    source.put(ended("r", ok=False), LONG_AGO_NS)
    start().poll()
    source.put(ended("s"))
    service = start()
    assert service.is_ready
    service.poll()
    assert runs_counted(service) == {"failure": 1, "success": 1}


@pytest.mark.parametrize("failure", [StoreError("memory", "it is gone"), OSError(5, "Input/output error")], ids=repr)
def test_a_store_that_fails_in_the_middle_loses_nothing(source: MemorySource, start: Start, failure: Exception) -> None:
    """What was read before the failure stays counted, the rest is read next time, and the failure is told."""
    for number in range(5):
        source.put(ended(f"r{number}"), LONG_AGO_NS + number)
    source.fails_at, source.failure = "r3", failure
    service = start()
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": 3}, False)
    assert gauge(service, semconv.EXPORTER_FAILURES) == 1
    source.fails_at = ""
    service = start()
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": 5}, True)


def test_a_clock_that_was_put_back_hides_no_run(tmp_path: Path, source: MemorySource, start: Start) -> None:
    """Not what is written from then on, nor what is written while nobody looks."""
    state = State(tmp_path / "serve.db")
    state.set_read(source.where, time.time_ns() + 3600 * 10**9, is_read=True)
    state.close()
    source.put(ended("r"))
    service = start()
    service.poll()
    assert runs_counted(service) == {"success": 1}
    service.close()
    state = State(tmp_path / "serve.db")
    assert state.read_until_ns(source.where) <= time.time_ns()
    state.close()


def test_names_that_are_no_unicode_count(source: MemorySource, start: Start) -> None:
    """A run id is the name of a file, which may be anything; so may a pipeline's be."""
    source.put(replace(ended("r"), run_id="caf\udce9", pipeline="pr\udcfcfen"))
    source.put(replace(going("r"), run_id="m\udcfc", pipeline="pr\udcfcfen"))
    service = start()
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.RUNS_ACTIVE)) == ({"success": 1}, 1)


def test_a_run_whose_name_is_no_unicode_is_closed(source: MemorySource, start: Start) -> None:
    """When it stopped moving: it is read by its name."""
    source.put(replace(going("r"), run_id="caf\udce9"), LONG_AGO_NS)
    service = start(ServeOptions(abandoned_after=timedelta(minutes=1)))
    service.poll()
    assert (runs_counted(service), gauge(service, semconv.RUNS_ACTIVE)) == ({"error": 1}, 0)


def test_what_is_of_the_future_is_read_once(source: MemorySource, start: Start) -> None:
    """A clock that was wrong by years stamped it: it is listed at each look."""
    source.put(ended("r"), time.time_ns() + 10**18)
    source.put(ended("beyond"), 10**30)
    service = start()
    service.poll()
    service.poll()
    assert (runs_counted(service), sorted(source.read)) == ({"success": 2}, ["beyond", "r"])


def test_what_did_not_change_is_not_read(source: MemorySource, start: Start) -> None:
    """A poll costs what changed."""
    source.put(ended("old"), LONG_AGO_NS)
    source.put(ended("recent"), time.time_ns() - 10**10)
    service = start()
    service.poll()
    source.read.clear()
    service.poll()
    source.put(ended("new"), time.time_ns() - 5 * 10**9)
    service.poll()
    assert source.read == ["new"]


def test_a_file_that_was_just_written_is_read_again(source: MemorySource, start: Start) -> None:
    """A second write within the same tick of the clock leaves the same time."""
    now = time.time_ns()
    source.put(going("r"), now)
    service = start()
    service.poll()
    source.put(ended("r"), now)
    service.poll()
    assert runs_counted(service) == {"success": 1}


def test_a_file_that_is_being_written_is_no_failure(source: MemorySource, start: Start) -> None:
    """It is read again; one that stays damaged is told once."""
    source.put(ended("fresh"))
    source.put(ended("old"), LONG_AGO_NS)
    source.torn = {"fresh", "old"}
    service = start()
    service.poll()
    service.poll()
    assert gauge(service, semconv.EXPORTER_FAILURES) == 1
    source.torn = {"old"}
    service.poll()
    assert runs_counted(service) == {"success": 1}


def test_a_run_that_goes_on_is_active(source: MemorySource, start: Start) -> None:
    """Counted, with its age, until it ends; it is read when it is new and when it has ended."""
    source.put(going("r"), time.time_ns() - 10**10)
    service = start()
    service.poll()
    assert gauge(service, semconv.RUNS_ACTIVE) == 1
    assert gauge(service, semconv.OLDEST_ACTIVE) == pytest.approx(time.time() - START / 1e9, abs=60)
    source.put(going("r"), time.time_ns() - 9 * 10**9)
    service.poll()
    source.put(ended("r"), time.time_ns() - 8 * 10**9)
    service.poll()
    assert source.read == ["r", "r"]
    assert (gauge(service, semconv.RUNS_ACTIVE), gauge(service, semconv.OLDEST_ACTIVE)) == (0, 0)
    assert runs_counted(service) == {"success": 1}


def test_a_run_that_stopped_moving_is_an_error(tmp_path: Path, source: MemorySource, start: Start) -> None:
    """After the time that was set; its trace is remembered to be sent; if it ends after all, it was counted."""
    source.put(going("r"), LONG_AGO_NS)
    service = start(ServeOptions(abandoned_after=timedelta(minutes=30)))
    service.poll()
    service.poll()
    assert runs_counted(service) == {"error": 1}
    assert [(unsent.run_id, unsent.is_abandoned) for unsent in Outbox(tmp_path / "unsent")] == [("r", True)]
    assert (gauge(service, semconv.RUNS_ACTIVE), gauge(service, semconv.RUNS_UNSENT)) == (0, 1)
    source.put(ended("r"))
    service.poll()
    assert runs_counted(service) == {"error": 1}


def test_a_history_is_served_when_its_abandoned_runs_are_closed(tmp_path: Path, start: Start) -> None:
    """A scrape before that would see them end: an alert would tell of runs that stopped long ago."""
    told: list[bool] = []

    class RunState(MemorySource):
        def run(self, run_id: str) -> Run:
            told.append(service.is_ready)
            return super().run(run_id)

    other = RunState(tmp_path, where="another")
    other.put(going("r"), LONG_AGO_NS)
    service = start(ServeOptions(abandoned_after=timedelta(minutes=30)), other)
    service.poll()
    assert (told, service.is_ready) == ([False, False], True)


def test_a_run_whose_steps_go_on_is_not_abandoned(source: MemorySource, start: Start) -> None:
    """A bucket tells when a run's header was written, which is before its steps."""
    moved = attempt(0, time.time() - START / 1e9 - 60)
    source.put(replace(going("r"), steps=(task("a", moved), task("b"))), LONG_AGO_NS)
    service = start(ServeOptions(abandoned_after=timedelta(minutes=30)))
    service.poll()
    service.poll()
    assert (gauge(service, semconv.RUNS_ACTIVE), runs_counted(service)) == (1, {})


def test_a_run_of_a_source_that_is_served_no_more_is_not_active(
    tmp_path: Path, source: MemorySource, start: Start
) -> None:
    """It would look stuck for ever; when its source is back, it is as it was."""
    other = MemorySource(tmp_path, where="other")
    other.put(going("r"), time.time_ns() - 10**10)
    start(None, other).poll()
    for sources, active in (((), 0), ((other,), 1)):
        service = start(None, *sources)
        service.poll()
        assert gauge(service, semconv.RUNS_ACTIVE) == active


def test_a_run_that_is_deleted_is_no_longer_active(source: MemorySource, start: Start) -> None:
    """By retention, or by hand."""
    source.put(going("r"), LONG_AGO_NS)
    service = start(ServeOptions(abandoned_after=timedelta(days=1)))
    service.poll()
    del source.runs["r"]
    service = start(ServeOptions(abandoned_after=timedelta(minutes=1)))
    service.poll()
    assert (gauge(service, semconv.RUNS_ACTIVE), runs_counted(service)) == (0, {})


def test_every_run_that_ends_is_sent_when_asked_for(tmp_path: Path, source: MemorySource, start: Start) -> None:
    """But none of the history that was there before."""
    source.put(ended("before"), LONG_AGO_NS)
    service = start(ServeOptions(resend=Resend.ALL))
    service.poll()
    source.put(ended("after"))
    service.poll()
    assert [unsent.run_id for unsent in Outbox(tmp_path / "unsent")] == ["after"]


def test_a_run_that_ends_is_read_once_to_be_counted_and_sent(source: MemorySource, start: Start) -> None:
    """Sending uses the traces that counting made of it."""
    with backend(healthy) as server:
        source.send_by(endpoint=server.url)
        service = start(ServeOptions(resend=Resend.ALL))
        service.poll()
        source.put(ended("r"))
        service.poll()
        assert (source.read, {span.run_id for span in server.acknowledged}) == (["r"], {"r"})
        assert gauge(service, semconv.RUNS_UNSENT) == 0


def test_a_store_that_fails_in_the_middle_keeps_no_trace_from_being_sent(
    tmp_path: Path, source: MemorySource, start: Start
) -> None:
    """What was counted before the failure is remembered."""
    service = start(ServeOptions(resend=Resend.ALL))
    service.poll()
    for number in range(3):
        source.put(ended(f"r{number}"))
    source.fails_at = "r2"
    service.poll()
    assert [unsent.run_id for unsent in Outbox(tmp_path / "unsent")] == ["r0", "r1"]


def test_runs_of_several_sources_add_up(tmp_path: Path, source: MemorySource, start: Start) -> None:
    """The same run id in two of them is two runs; one that is down holds up none but itself."""
    other = MemorySource(tmp_path, where="another")
    source.put(ended("r"))
    other.put(ended("r", ok=False))
    other.fails_at = "r"
    service = start(None, other)
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": 1}, False)
    other.fails_at = ""
    service.poll()
    assert (runs_counted(service), service.is_ready) == ({"success": 1, "failure": 1}, True)
