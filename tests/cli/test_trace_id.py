"""`runlog-otel trace-id` of a run that may have joined its caller's trace."""

import json
from pathlib import Path

import pytest

from runlog_otel.core import identity
from tests.calls import Command
from tests.cli.conftest import RUNS

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"
RUN = RUNS["demo"]
OWN = identity.trace_id("", RUN, 1).hex()


@pytest.fixture
def joined(project: Path) -> Path:
    """The log of the run, which joined its caller's trace."""
    path = project / ".run_log_store" / f"{RUN}.json"
    log = json.loads(path.read_text(encoding="utf-8"))
    log["run_config"]["runlog_otel"] |= {"traceparent": CALLER, "parent": "child"}
    path.write_text(json.dumps(log), encoding="utf-8")
    return path


def set_child(project: Path) -> None:
    config = project / "runnable-config.yaml"
    text = config.read_text(encoding="utf-8").replace("telemetry:\n", "telemetry:\n      parent: child\n")
    config.write_text(text, encoding="utf-8")


@pytest.mark.usefixtures("joined")
def test_it_is_read_in_the_log_where_a_run_may_have_joined_another_trace(project: Path, command: Command) -> None:
    """With the setting, or from a source that is named; a log without a caller has the run's own."""
    assert command("trace-id", RUN).out.strip() == OWN
    assert command("trace-id", RUN, "--source", ".run_log_store").out.strip() == TRACE
    set_child(project)
    assert command("trace-id", RUN).out.strip() == TRACE
    assert command("show", RUN).out.count(f"trace {TRACE}") == 1
    other = RUNS["job"]
    assert command("trace-id", other).out.strip() == identity.trace_id("", other, 1).hex()


def test_of_a_run_that_is_yet_to_come_it_is_the_callers(project: Path, command: Command) -> None:
    """Whoever starts it knows the caller."""
    set_child(project)
    assert command("trace-id", "later", "--traceparent", CALLER).out.strip() == TRACE
    called = command("trace-id", "later")
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert called.err.startswith("error: --traceparent: is needed, as run 'later' is not in ")


def test_a_malformed_caller_is_refused(command: Command) -> None:
    """In one line, with the format that is expected."""
    called = command("trace-id", "later", "--traceparent", "hunter2")
    assert (called.status, called.out) == (2, "")
    assert called.err == "error: --traceparent: is not valid; write it as 00-TRACE_ID-SPAN_ID-01 (W3C Trace Context)\n"
