"""The environment and the context of a process are as before once no attempt is current."""

import os
from contextvars import copy_context
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace

from runlog_otel.core.trace import AttemptContext
from runlog_otel.live.attempt_context import AttemptScope, current
from runlog_otel.live.propagation import Propagation

NAMES = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "X_TRACEPARENT", "X_TRACESTATE", "X_BAGGAGE")


def attempt(number: int) -> AttemptContext:
    return AttemptContext(f"run {number}", "step", bytes([number + 1]) * 16, bytes([number + 1]) * 8)


def state() -> dict[str, Any]:
    return {"context": dict(context.get_current()), "current": current()} | {
        name: os.environ.get(name) for name in NAMES
    }


@given(
    st.dictionaries(st.sampled_from(NAMES), st.text("ab", max_size=3)),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.permutations(range(5)),
)
def test_whoever_leaves_last_puts_back_what_was_first(
    before: dict[str, str], attempts: list[tuple[bool, bool]], order: list[int]
) -> None:
    """Threads and tasks of one process enter and leave in any order, some of them with baggage and a prefix."""
    for name in NAMES:
        os.environ.pop(name, None)
    os.environ.update(before)
    first = state()
    entered = []
    for number, (has_prefix, has_baggage) in enumerate(attempts):
        place = copy_context()
        prefix = "X_" if has_prefix else ""
        entered.append(
            (place, place.run(AttemptScope, attempt(number), Propagation(prefix=prefix, has_run_id=has_baggage)))
        )
        assert os.environ["TRACEPARENT"] == attempt(number).traceparent
        assert place.run(current) == attempt(number)
    for at in order:
        if at < len(entered):
            place, each = entered[at]
            place.run(each.leave)
            assert place.run(context.get_current) == context.get_current()
    assert state() == first
    for name in before:
        del os.environ[name]


def test_the_current_span_is_the_attempt_and_is_sampled() -> None:
    """As W3C has it, in both places; the caller's state does not come along."""
    os.environ["TRACESTATE"] = "callers=1"
    entered = AttemptScope(attempt(6), Propagation(prefix="X_", has_run_id=True))
    span = trace.get_current_span().get_span_context()
    told = (
        span.trace_id.to_bytes(16, "big"),
        span.span_id.to_bytes(8, "big"),
        span.trace_flags.sampled,
        span.is_remote,
    )
    parent = f"00-{'07' * 16}-{'07' * 8}-01"
    variables = {name: os.environ.get(name) for name in NAMES}
    carried = baggage.get_all()
    entered.leave()
    del os.environ["TRACESTATE"]
    assert told == (b"\7" * 16, b"\7" * 8, True, True)
    own = {"TRACEPARENT": parent, "TRACESTATE": "", "BAGGAGE": "cicd.pipeline.run.id=run%206"}
    assert variables == own | {f"X_{name}": value for name, value in own.items()}
    assert carried == {"cicd.pipeline.run.id": "run 6"}
    assert state()["context"] == {}


def test_a_span_that_is_still_open_around_the_code_keeps_the_context() -> None:
    """The environment is put back when the code has ended, the context when that span has ended too."""
    entered = AttemptScope(attempt(1))
    token = context.attach(context.set_value("somebody's", 1))
    entered.code_has_ended()
    assert (current(), "TRACEPARENT" in os.environ) == (None, False)
    assert context.get_value("somebody's") == 1
    context.detach(token)
    entered.leave()
    entered.leave()
    assert dict(context.get_current()) == {}
