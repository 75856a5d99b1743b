"""A program's log records say which run, step and trace they belong to."""

import logging
from collections.abc import Iterator
from io import StringIO
from threading import Thread

import pytest
from opentelemetry.sdk.trace import TracerProvider

from runlog_otel.core.trace import AttemptContext
from runlog_otel.live.attempt_context import AttemptScope
from runlog_otel.live.logs import RunlogContextFilter
from runlog_otel.loggers import package_logger

CURRENT = AttemptContext("calm-otter", "mp.1.work", bytes(range(1, 17)), bytes(range(1, 9)))
TRACE, SPAN = CURRENT.trace_id.hex(), CURRENT.span_id.hex()


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What a handler writes of a logger below the one that it stands at."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(run_id)s|%(step)s|%(trace_id)s|%(span_id)s|%(message)s"))
    handler.addFilter(RunlogContextFilter())
    logging.getLogger("somebody").addHandler(handler)
    yield stream
    logging.getLogger("somebody").removeHandler(handler)


def log(text: str) -> None:
    logging.getLogger("somebody.below").warning(text)


def test_a_record_within_a_step_is_joined_to_its_attempt(written: StringIO) -> None:
    """And one outside of it to nothing."""
    log("before")
    entered = AttemptScope(CURRENT)
    log("within")
    entered.leave()
    log("after")
    assert written.getvalue() == f"||||before\ncalm-otter|mp.1.work|{TRACE}|{SPAN}|within\n||||after\n"


def test_a_record_within_a_span_of_the_programs_own_names_that(written: StringIO) -> None:
    """The innermost span is where the record belongs."""
    entered = AttemptScope(CURRENT)
    with TracerProvider().get_tracer("own").start_as_current_span("own") as span:
        log("within")
    entered.leave()
    own = f"{span.get_span_context().span_id:016x}"
    assert written.getvalue() == f"calm-otter|mp.1.work|{TRACE}|{own}|within\n"


def test_a_thread_that_knows_of_nothing_is_joined_to_the_only_step(written: StringIO) -> None:
    """Threads start without the context of the one that starts them."""
    entered = AttemptScope(CURRENT)
    thread = Thread(target=log, args=("in a thread",))
    thread.start()
    thread.join()
    entered.leave()
    assert written.getvalue() == f"calm-otter|mp.1.work|{TRACE}|{SPAN}|in a thread\n"


@pytest.mark.parametrize("name", ["runlog_otel", "runlog_otel.serve"])
def test_what_our_log_records_quote_is_printable(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """An answer of a backend forges no line and moves no cursor, whoever handles the record; numbers stay numbers."""
    package_logger(name).warning("%s; %d runs wait; %.1f s", ValueError("ok\nWARNING forged\x1b[2K"), 3, 0.25)
    assert [(record.msg, record.getMessage()) for record in caplog.records] == [
        ("%s; %d runs wait; %.1f s", "ok\\nWARNING forged\\x1b[2K; 3 runs wait; 0.2 s")
    ]
