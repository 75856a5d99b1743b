"""Many runs are sent in few requests, and what became of each is known."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Trace
from runlog_otel.errors import DeliveryError, TooLargeError
from runlog_otel.exporters.traces.replay import MAX_FAILURES, Replay, Shipment
from runlog_otel.settings import Settings
from tests.core.logs import attempt, run, task, verdict
from tests.exporters.spans import Backend, backend


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


@pytest.fixture
def replay(server: Backend) -> Iterator[Replay]:
    with closing(Replay(Settings.load({"endpoint": server.url}, {}))) as running:
        yield running


def trace_of(run_id: str, pipeline: str = "train", steps: int = 1, size: int = 1) -> Trace:
    """The trace of a run with that many steps, whose names have about so many bytes."""
    tasks = [task(f"{run_id}-{number}{'y' * size}", attempt(1, 2)) for number in range(steps)]
    (trace,) = spans_from_run(replace(run(*tasks, verdict("success", 3)), run_id=run_id, pipeline=pipeline))
    return trace


def sent(replay: Replay, *traces: Trace) -> list[Shipment]:
    """What became of these runs."""
    shipments = [Shipment() for _ in traces]
    for shipment, trace in zip(shipments, traces, strict=True):
        replay.add(shipment, [trace])
    replay.wait()
    assert all(shipment.is_answered for shipment in shipments)
    return shipments


def errors_of(shipments: list[Shipment]) -> list[type[Exception] | None]:
    """Why each was not acknowledged."""
    return [_error_of(shipment) for shipment in shipments]


def _error_of(shipment: Shipment) -> type[Exception] | None:
    try:
        shipment.raise_if_failed()
    except DeliveryError as error:
        return type(error)
    return None


def failing(status: int, part: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """What a `Backend` does that answers a request so in which these bytes are."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        handler.send_response(status if part in body else 200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.end_headers()
        return True

    return act


def test_runs_of_one_resource_share_requests(server: Backend, replay: Replay) -> None:
    """Those of another resource have their own; every span is sent once."""
    traces = [trace_of(f"run {number}", "train" if number % 2 else "test") for number in range(10)]
    assert errors_of(sent(replay, *traces)) == [None] * 10
    assert len(server.requests) == 2
    assert sorted(server.span_names()) == sorted(span.name for trace in traces for span in trace.spans)


def test_a_long_run_is_sent_in_several_requests(server: Backend, replay: Replay) -> None:
    """It shares the last one."""
    assert errors_of(sent(replay, trace_of("long", steps=600), trace_of("short"))) == [None, None]
    assert (len(server.requests), len(server.span_names())) == (3, 600 * 2 + 2 + 4)


def test_a_request_that_fails_marks_exactly_its_runs(server: Backend, replay: Replay) -> None:
    """Nobody waits for a backend that asks for an hour."""
    server.act = failing(503, b"run 1", Retry_After="3600")
    traces = [trace_of(f"run {number}", "train" if number < 2 else "test") for number in range(4)]
    assert errors_of(sent(replay, *traces)) == [DeliveryError, DeliveryError, None, None]
    assert not replay.is_stopped


def test_one_run_that_is_refused_does_not_fail_the_others(server: Backend, replay: Replay) -> None:
    """The runs of a request that is refused for good are sent one by one."""
    server.act = failing(400, b"run 1")
    assert errors_of(sent(replay, *(trace_of(f"run {number}") for number in range(4)))) == [
        None,
        DeliveryError,
        None,
        None,
    ]


def test_only_the_run_of_a_span_that_is_too_large_is_marked(server: Backend, replay: Replay) -> None:
    """The request is divided until that span is alone; the error names it."""
    server.act = failing(413, b"y" * 500)
    shipments = sent(replay, trace_of("a"), trace_of("b", size=500), trace_of("c"))
    assert errors_of(shipments) == [None, TooLargeError, None]
    assert {refused.span.name[:3] for refused in shipments[1].refused} == {"b-0"}


def test_after_some_failures_nothing_more_is_tried(server: Backend, replay: Replay) -> None:
    """What was not tried is told apart from what failed."""
    server.status, server.headers = 503, {"Retry-After": "3600"}
    shipments = [sent(replay, trace_of(f"run {number}"))[0] for number in range(MAX_FAILURES + 2)]
    assert [shipment.is_tried for shipment in shipments] == [True] * MAX_FAILURES + [False] * 2
    assert len(server.requests) == MAX_FAILURES


def test_a_success_begins_the_count_of_failures_anew(server: Backend, replay: Replay) -> None:
    """Only failures in a row mean that the backend is down."""
    server.act = failing(503, b"odd", Retry_After="3600")
    for _ in range(MAX_FAILURES):
        sent(replay, trace_of("odd"))
        sent(replay, trace_of("even"))
    assert not replay.is_stopped


def test_a_run_that_is_sent_in_part_counts_as_failed(server: Backend, replay: Replay) -> None:
    """Its first request was acknowledged, its second was dropped."""
    shipment = Shipment(waiting=2, is_begun=True, dropped=DeliveryError("http://x", "HTTP 503"))
    assert (shipment.is_tried, errors_of([shipment])) == (True, [DeliveryError])


def test_many_resources_do_not_gather_spans_without_bound(server: Backend, replay: Replay) -> None:
    """Requests are sent before they are full."""
    for number in range(200):
        replay.add(Shipment(), [trace_of(f"run {number}", f"pipeline {number}", steps=100)])
    assert server.requests
