"""Sending a whole trace, as replays do."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from runlog_otel.core.spans import spans_from_run
from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.otlp.http import OtlpHttpSink
from runlog_otel.exporters.traces.resend import send_trace
from runlog_otel.settings import Settings
from tests.core.logs import attempt, run, task, verdict
from tests.exporters.spans import backend


@pytest.mark.parametrize(
    ("asked", "pauses"), [("0", [1.0, 2.0]), ("5", [5.0, 5.0]), ("3600", [])], ids=["none", "a while", "too long"]
)
def test_a_busy_backend_is_left_alone_as_long_as_it_asks(
    asked: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retry-After lengthens the pauses; for one that asks for an hour nobody waits."""
    paused: list[float] = []
    monkeypatch.setattr("runlog_otel.exporters.traces.resend.time", SimpleNamespace(sleep=paused.append))
    (trace,) = spans_from_run(run(task("load", attempt(1, 2)), verdict("success", 3)))
    with backend() as server:
        server.status, server.headers = 503, {"Retry-After": asked}
        settings = Settings.load({"endpoint": server.url}, {})
        with closing(OtlpHttpSink(settings)) as sink, pytest.raises(DeliveryError, match="HTTP 503"):
            send_trace(trace, sink, settings)
        assert (paused, len(server.requests)) == (pauses, len(pauses) + 1)
