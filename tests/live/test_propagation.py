"""The formats in which a run reads its caller's context, and hands on that of its attempts."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextvars import copy_context

import pytest
from opentelemetry import baggage, context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from runlog_otel.core.trace import AttemptContext
from runlog_otel.live.annotations import Annotations
from runlog_otel.live.attempt_context import AttemptScope
from runlog_otel.live.propagation import Propagation

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "TRACESTATE": "vendor=a", "BAGGAGE": "tenant=x%20y,team=z"}
B3 = {"B3": f"{TRACE}-{SPAN}-0"}
B3_MULTI = {"X_B3_TRACEID": TRACE, "X_B3_SPANID": SPAN, "X_B3_SAMPLED": "1"}
ATTEMPT = AttemptContext("r", "step", b"\1" * 16, b"\2" * 8)
JOINED = AttemptContext("r", "step", bytes.fromhex(TRACE), b"\2" * 8, is_sampled=False, tracestate="vendor=a")


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    for name in (*CALLER, *B3, *B3_MULTI):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


def ended() -> Annotations:
    """Those of an attempt that has ended, and so has no file."""
    annotations = Annotations(str)
    annotations.close()
    return annotations


def called(propagation: Propagation, variables: Mapping[str, str]) -> str:
    """The caller by these variables, as its traceparent and tracestate."""
    os.environ.update(variables)
    span = propagation.caller()
    if span is None:
        return ""
    return f"{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x} {span.trace_state.to_header()}".strip()


@pytest.mark.parametrize(
    ("propagators", "variables", "caller"),
    [
        (("tracecontext", "baggage"), CALLER, f"{TRACE}-{SPAN}-01 vendor=a"),
        (("tracecontext",), {"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"}, f"{TRACE}-{SPAN}-00"),
        (("tracecontext",), {"TRACEPARENT": f"00-{'0' * 32}-{SPAN}-00"}, ""),
        (("tracecontext",), {"TRACEPARENT": "hunter2"}, ""),
        (
            ("tracecontext",),
            {f"RUNNABLE_{name}": value for name, value in CALLER.items()},
            f"{TRACE}-{SPAN}-01 vendor=a",
        ),
        (
            ("tracecontext",),
            {"RUNNABLE_TRACEPARENT": f"00-{SPAN * 2}-{SPAN}-00"} | CALLER,
            f"{TRACE}-{SPAN}-01 vendor=a",
        ),
        (("tracecontext",), {}, ""),
        ((), CALLER | B3, ""),
        (("baggage",), CALLER, ""),
        (("unheard-of",), CALLER, ""),
        (("unheard-of", "tracecontext"), CALLER, f"{TRACE}-{SPAN}-01 vendor=a"),
    ],
    ids=str,
)
def test_the_caller_is_read_as_the_propagators_say(
    propagators: tuple[str, ...], variables: Mapping[str, str], caller: str
) -> None:
    """From the environment, or from the variables that a host passes on to programs."""
    assert called(Propagation(propagators, "RUNNABLE_"), variables) == caller


@pytest.mark.parametrize(("propagator", "variables"), [("b3", B3), ("b3multi", B3_MULTI)])
def test_b3_is_read_and_set_where_it_is_installed(propagator: str, variables: Mapping[str, str]) -> None:
    """In one variable or in several; what the format has no value for is removed."""
    pytest.importorskip("opentelemetry.propagators.b3")
    propagation = Propagation((propagator,), "RUNNABLE_")
    assert called(propagation, {**CALLER, **variables}) == f"{TRACE}-{SPAN}-0{int(propagator == 'b3multi')}"
    expected = {
        "b3": {"B3": f"{'01' * 16}-{'02' * 8}-1"},
        "b3multi": {"X_B3_TRACEID": "01" * 16, "X_B3_SPANID": "02" * 8, "X_B3_SAMPLED": "1"},
    }[propagator]
    prefixed = {f"RUNNABLE_{name}": value for name, value in expected.items()}
    assert propagation.variables(ATTEMPT, propagation.context(ATTEMPT, ended())) == {**expected, **prefixed}


def test_a_propagator_that_is_not_installed_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The others are in force."""
    propagation = Propagation(("never-installed", "tracecontext"))
    with caplog.at_level(logging.WARNING, "runlog_otel"):
        told = [propagation.variables(ATTEMPT, propagation.context(ATTEMPT, ended())) for _ in range(3)]
    assert told == [{"TRACEPARENT": ATTEMPT.traceparent, "TRACESTATE": ""}] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the propagator 'never-installed' is ignored: it is not installed"
    ]


def test_the_span_of_this_process_is_the_caller_whatever_the_environment_says() -> None:
    """Its state comes with it."""
    state = TraceState([("vendor", "b")])
    span = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    token = context.attach(set_span_in_context(NonRecordingSpan(span)))
    assert called(Propagation(()), CALLER) == f"{7:032x}-{8:016x}-01 vendor=b"
    context.detach(token)


@pytest.mark.parametrize(
    ("propagation", "attempt", "variables", "carried"),
    [
        (Propagation(), ATTEMPT, {"TRACEPARENT": ATTEMPT.traceparent, "TRACESTATE": ""}, {}),
        (Propagation(()), ATTEMPT, {}, {}),
        (
            Propagation(has_run_id=True),
            ATTEMPT,
            {"TRACEPARENT": ATTEMPT.traceparent, "TRACESTATE": "", "BAGGAGE": "cicd.pipeline.run.id=r"},
            {"cicd.pipeline.run.id": "r"},
        ),
        (Propagation(("tracecontext",), has_run_id=True), JOINED, {"TRACESTATE": "vendor=a"}, {}),
        (
            Propagation(is_child=True),
            JOINED,
            {"TRACEPARENT": f"00-{TRACE}-{'02' * 8}-00", "TRACESTATE": "vendor=a", "BAGGAGE": CALLER["BAGGAGE"]},
            {"tenant": "x y", "team": "z"},
        ),
        (
            Propagation(("baggage",), has_run_id=True, is_child=True),
            JOINED,
            {"BAGGAGE": f"{CALLER['BAGGAGE']},cicd.pipeline.run.id=r"},
            {"tenant": "x y", "team": "z", "cicd.pipeline.run.id": "r"},
        ),
    ],
    ids=["default", "none", "run id", "no baggage", "child", "child and run id"],
)
def test_what_programs_get_is_what_the_propagators_say(
    propagation: Propagation, attempt: AttemptContext, variables: dict[str, str], carried: dict[str, str]
) -> None:
    """State and baggage of the caller are handed on by a run that joined its trace, and by no other."""
    os.environ.update(CALLER)
    own = propagation.context(attempt, ended())
    assert dict(baggage.get_all(own)) == carried
    assert {"TRACEPARENT": attempt.traceparent, **propagation.variables(attempt, own)} == {
        "TRACEPARENT": attempt.traceparent,
        **variables,
    }


def test_an_attempt_in_another_thread_is_no_caller() -> None:
    """A service starts a run in one thread while a step of another one sets variables for the whole process."""
    os.environ.update(CALLER)
    scope = copy_context().run(AttemptScope, ATTEMPT)
    caller = called(Propagation(), {})
    scope.leave()
    assert caller == f"{TRACE}-{SPAN}-01 vendor=a"


def test_the_baggage_of_this_process_is_handed_on() -> None:
    """A service that runs a pipeline for a request has it in its context, and not in its environment."""
    os.environ.update(CALLER)
    token = context.attach(baggage.set_baggage("request", "7"))
    propagation = Propagation(("baggage",), is_child=True)
    assert propagation.variables(JOINED, propagation.context(JOINED, ended())) == {"BAGGAGE": "request=7"}
    context.detach(token)
