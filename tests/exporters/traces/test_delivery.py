"""Sending in the background: what is waited for, what is remembered, what crosses a fork."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from runlog_otel.exporters.traces.delivery import Delivery, shared_delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.exporters.traces.resend import BATCH_SPANS
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, Backend, backend, spans_of_every_kind


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path)


def delivery(url: str, outbox: Outbox, budget: float = 1.0) -> Delivery:
    return Delivery(Settings.load({"endpoint": url, "exit_budget_seconds": budget}, {}), outbox)


def unsent(outbox: Outbox) -> list[str]:
    return [marker.run_id for marker in outbox]


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "runlog-otel"]


def hang(_: BaseHTTPRequestHandler) -> bool:
    """Accept, and never answer."""
    time.sleep(3)
    return True


def test_nothing_exists_before_the_first_span(server: Backend, outbox: Outbox) -> None:
    """No thread, no socket; and an idle process has none either."""
    sending = delivery(server.url, outbox)
    sending.flush()
    assert (own_threads(), server.requests) == ([], [])
    sending.offer("a", RESOURCE, spans_of_every_kind())
    sending.flush()
    assert (own_threads(), len(server.requests)) == ([], 1)
    sending.close()


def test_everything_offered_is_acknowledged_after_a_flush(server: Backend, outbox: Outbox) -> None:
    """Runs and resources of their own stay apart; nothing is remembered."""
    sending = delivery(server.url, outbox)
    spans = spans_of_every_kind()
    for run_id in "abc":
        sending.offer(run_id, RESOURCE | {"service.name": run_id}, spans)
    sending.close()
    assert sorted(server.span_names()) == sorted([span.name for span in spans] * 3)
    assert unsent(outbox) == []


def test_5000_spans_go_out_in_batches(server: Backend, outbox: Outbox) -> None:
    """No request has more spans than a batch."""
    sending = delivery(server.url, outbox, budget=10)
    spans = (spans_of_every_kind() * 1000)[:5000]
    sending.offer("a", RESOURCE, spans)
    sending.close()
    assert len(server.span_names()) == 5000
    assert len(server.requests) == -(-5000 // BATCH_SPANS)


def test_what_is_offered_in_a_burst_shares_a_request(server: Backend, outbox: Outbox) -> None:
    """And a flush ends the wait for further spans."""
    sending = delivery(server.url, outbox)
    span = spans_of_every_kind()[0]
    sending.offer("a", RESOURCE, [span])
    while own_threads():
        time.sleep(0.01)
    for _ in range(50):
        sending.offer("a", RESOURCE, [span])
    sending.close()
    assert len(server.span_names()) == 51
    assert len(server.requests) < 10


@pytest.mark.parametrize("status", [503, 429, 400, 308])
def test_what_is_not_acknowledged_is_remembered(server: Backend, outbox: Outbox, status: int) -> None:
    """And a backend that failed is left alone for a while: later runs are remembered at once."""
    server.status = status
    sending = delivery(server.url, outbox)
    sending.offer("a", RESOURCE, spans_of_every_kind())
    sending.flush()
    sending.offer("b", RESOURCE, spans_of_every_kind())
    sending.close()
    assert (unsent(outbox), len(server.requests)) == (["a", "b"], 1)


@pytest.mark.parametrize(("asked", "pause"), [("0", 30), ("5", 5), ("60", 60), ("86400", 300)])
def test_a_backend_is_left_alone_as_long_as_it_asks(
    server: Backend, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, asked: str, pause: float
) -> None:
    """Retry-After is honoured up to five minutes; without it the pause is half a minute."""
    now = [1000.0]
    monkeypatch.setattr("runlog_otel.exporters.traces.delivery.time", SimpleNamespace(monotonic=lambda: now[0]))
    server.status, server.headers = 503, {"Retry-After": asked}
    sending = delivery(server.url, outbox)
    asked_at = []
    for now[0] in (1000.0, 1000.0 + pause - 1, 1000.0 + pause + 1):
        before = len(server.requests)
        sending.offer("a", RESOURCE, spans_of_every_kind())
        while own_threads():
            time.sleep(0.01)
        asked_at += [now[0]] * (len(server.requests) - before)
    sending.close()
    assert asked_at == [1000.0, 1000.0 + pause + 1]


def test_a_silent_backend_is_waited_for_once(server: Backend, outbox: Outbox) -> None:
    """The budget holds for the process, not for each wait."""
    server.act = hang
    sending = delivery(server.url, outbox, budget=1.0)
    start = time.monotonic()
    for run_id in "abcd":
        sending.offer(run_id, RESOURCE, spans_of_every_kind())
        sending.flush()
    sending.close()
    assert time.monotonic() - start < 3.5  # four waits would take four seconds
    assert unsent(outbox) == ["a", "b", "c", "d"]


def test_an_offer_never_waits(server: Backend, outbox: Outbox) -> None:
    """A pipeline goes on while its backend is silent."""
    server.act = hang
    sending = delivery(server.url, outbox, budget=0.3)
    start = time.monotonic()
    for _ in range(100):
        sending.offer("a", RESOURCE, spans_of_every_kind())
    assert time.monotonic() - start < 2.0  # the backend is silent for three
    sending.close()


def test_a_failure_is_said_once(server: Backend, outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    """One line, with the command that helps."""
    server.status = 503
    sending = delivery(server.url, outbox)
    for run_id in "abc":
        sending.offer(run_id, RESOURCE, spans_of_every_kind())
        sending.flush()
    sending.close()
    (record,) = caplog.records
    assert record.getMessage() == (
        f"export to {server.url} failed: HTTP 503; the run log has it all: `runlog-otel export --unsent` sends it later"
    )


def test_an_outbox_that_cannot_be_written_breaks_nothing(
    server: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said in the log."""
    (tmp_path / "file").write_text("")
    server.status = 503
    sending = delivery(server.url, Outbox(tmp_path / "file" / "unsent"))
    sending.offer("a", RESOURCE, spans_of_every_kind())
    sending.close()
    assert any("could not be noted" in record.getMessage() for record in caplog.records)


def test_the_answer_of_a_backend_forges_no_log_line(
    server: Backend, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """What it says is one line, without commands to a terminal."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    answer.partial_success.error_message = "full\nCRITICAL forged \x1b[2K\u202e"
    server.body = answer.SerializeToString()
    sending = delivery(server.url, outbox)
    sending.offer("a", RESOURCE, spans_of_every_kind())
    sending.close()
    (record,) = caplog.records
    assert record.getMessage() == (
        f"export to {server.url} failed: 1 spans were rejected: full\\nCRITICAL forged \\x1b[2K\\u202e; "
        "the run log has it all: `runlog-otel export --unsent` sends it later"
    )


def test_an_exporter_that_cannot_be_made_breaks_nothing(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is missing is found when the first span goes out."""
    settings = Settings.load({"endpoint": "https://127.0.0.1:1", "certificate": "/none.pem"}, {})
    sending = Delivery(settings, outbox)
    sending.offer("a", RESOURCE, spans_of_every_kind())
    sending.close()
    assert unsent(outbox) == ["a"]
    assert "telemetry.certificate" in caplog.text


def test_equal_settings_share_a_delivery(outbox: Outbox, tmp_path: Path) -> None:
    """A pool hands each task an unpickled store: what is known of the backend is known to all of them."""
    settings = Settings.load({"endpoint": "http://127.0.0.1:9", "headers": {"a": "1"}}, {})
    other = Settings.load({"endpoint": "http://127.0.0.1:9", "headers": {"a": "2"}}, {})
    first = shared_delivery(settings, outbox)
    assert shared_delivery(pickle.loads(pickle.dumps(settings)), Outbox(tmp_path)) is first
    assert shared_delivery(other, outbox) is not first


_FORKING = """
import os, sys, warnings
from pathlib import Path
from runlog_otel.exporters.traces.delivery import Delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from tests.exporters.spans import RESOURCE, spans_of_every_kind
span = spans_of_every_kind()[0]
sending = Delivery(Settings.load({"endpoint": sys.argv[1]}, {}), Outbox(Path(sys.argv[2])))
sending.offer("parent", RESOURCE, [span])
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        for _ in range(50):
            sending.offer("child", RESOURCE, [span])
        sys.exit(0)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_warm_parent_and_its_forked_children_send_each_their_own(server: Backend, tmp_path: Path) -> None:
    """1 + 4 * 50 spans arrive, whole, and Python warns of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _FORKING, server.url, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.span_names()) == 201
    assert unsent(Outbox(tmp_path)) == []
