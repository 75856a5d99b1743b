"""What waits to be sent: a run that is refused, gone or still going holds up no other, and is not sent in vain."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runlog_otel.core.log_lines import Output
from runlog_otel.core.model import ExecutionLog, Run
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.service.resending import Resender
from tests.core.logs import attempt, run, task, verdict
from tests.e2e.backend import Backend, answer, answering, backend
from tests.exporters.spans import backend as http_backend
from tests.service.sources import MemorySource, ended, going


def picky(server: Backend, connection: socket.socket) -> None:
    """Refuse the run `bad`; acknowledge all others."""
    while (spans := server.read(connection)) is not None:
        if any(span.run_id == "bad" for span in spans):
            connection.sendall(answer(400))
        else:
            server.acknowledge(spans)
            connection.sendall(answer(200))


@pytest.fixture
def server() -> Iterator[Backend]:
    """A backend that refuses one run."""
    with backend(picky) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> MemorySource:
    """Without runs."""
    return MemorySource(tmp_path)


def resender_of(source: MemorySource, server: Backend, *run_ids: str) -> Resender:
    """Sends to a server; it remembers these runs."""
    source.send_by(endpoint=server.url)
    resender = Resender(source, SeriesTable())
    for run_id in run_ids:
        resender.remember(run_id, "a test wants it")
    return resender


def test_a_run_that_is_refused_or_gone_holds_up_no_other(source: MemorySource, server: Backend) -> None:
    """Each is tried once, for the time being, and stays remembered."""
    for run_id in ("bad", "good"):
        source.put(ended(run_id))
    resender = resender_of(source, server, "bad", "deleted", "good")
    resender.resend()
    resender.resend()
    assert {span.run_id for span in server.acknowledged} == {"good"}
    assert (len(server.requests), resender.unsent()) == (2, 2)
    resender.close()


def strict(server: Backend, connection: socket.socket) -> None:
    """Refuse requests for their size, if they are not those of the run `good`."""
    while (spans := server.read(connection)) is not None:
        if any(span.run_id != "good" for span in spans):
            connection.sendall(answer(413))
        else:
            server.acknowledge(spans)
            connection.sendall(answer(200))


def test_a_run_that_is_too_large_is_not_tried_again(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, others are sent; it stays remembered, and is tried again when there is more of it."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    large = [f"large{number}" for number in range(8)]
    for run_id in (*large, "good"):
        source.put(ended(run_id))
    with backend(strict) as server:
        resender = resender_of(source, server, *large, "good")
        resender.resend()
        asked = len(server.requests)
        now[0] += 86_400.0
        resender.resend()
        assert ({span.run_id for span in server.acknowledged}, resender.unsent()) == ({"good"}, 8)
        assert len(server.requests) == asked
        resender.remember("large0", "it was retried")
        resender.resend()
        assert len(server.requests) > asked
        resender.close()


def test_nothing_is_sent_by_an_exporter_that_sends_nothing(
    source: MemorySource, server: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits goes on waiting, and one line says so."""
    source.put(ended("good"))
    resender = resender_of(source, server, "good")
    for exporter in ("none,none", "none"):
        source.send_by(exporter=exporter)
        resender.resend()
    assert (server.requests, resender.unsent()) == ([], 1)
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry.exporter: nothing would be sent: it is none,none (from: config); --endpoint URL sends anyway; "
        "1 runs wait"
    ]


def test_a_backend_that_refuses_all_is_left_alone(source: MemorySource) -> None:
    """After a few runs, so that thousands that wait are not all tried."""
    with backend(answering(401)) as server:
        run_ids = [f"r{number}" for number in range(20)]
        for run_id in run_ids:
            source.put(ended(run_id))
        resender = resender_of(source, server, *run_ids)
        resender.resend()
        resender.resend()
        assert (len(server.requests), resender.unsent()) == (6, 20)
        resender.close()


def test_a_long_backlog_does_not_hold_up_counting(
    tmp_path: Path, server: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it is sent, and the rest after the next look."""
    late, now = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + late[0])

    class Slow(MemorySource):
        def run(self, run_id: str) -> Run:
            late[0] += 6
            return super().run(run_id)

    source = Slow(tmp_path)
    run_ids = [f"r{number}" for number in range(5)]
    for run_id in run_ids:
        source.put(ended(run_id))
    resender = resender_of(source, server, *run_ids)
    left = []
    while resender.unsent():
        resender.resend()
        left.append(resender.unsent())
    assert left == [3, 1, 0]
    resender.close()


def test_a_run_that_goes_on_is_sent_when_there_is_more_of_it(source: MemorySource, server: Backend) -> None:
    """And not with every look; it is forgotten when all of it was sent."""
    source.put(going("r"))
    resender = resender_of(source, server, "r")
    resender.resend()
    resender.resend()
    assert (len(server.requests), resender.unsent()) == (1, 1)
    source.put(ended("r"))
    resender.resend()
    assert (len(server.requests), resender.unsent()) == (2, 0)
    resender.close()


class SourceWithLogs(MemorySource):
    """Keeps one line of output for each attempt."""

    def output(self, run_id: str, log: ExecutionLog) -> Output:
        """See `Source.output`."""
        return Output(f"{run_id} wrote {log.name}\n")


@pytest.mark.parametrize("logs", ["none", "failed"])
def test_the_logs_of_a_run_are_sent_with_it(tmp_path: Path, logs: str) -> None:
    """Where they are exported at all: its processes may not have sent them."""
    with http_backend() as server:
        source = SourceWithLogs(tmp_path)
        source.send_by(endpoint=server.url, logs=logs)
        log = task("a", replace(attempt(1, 3), log=ExecutionLog("aXYZ.execution.log", 80)))
        source.put(replace(run(log, verdict("success", 4)), run_id="r"))
        resender = Resender(source, SeriesTable())
        resender.remember("r", "a test wants it")
        resender.resend()
        assert resender.unsent() == 0
        resender.close()
    sent = [body for path, _, body in server.requests if path == "/v1/logs"]
    assert [b"r wrote aXYZ.execution.log" in body for body in sent] == [True] * (logs == "failed")
