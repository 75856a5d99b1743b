"""Who started a run, and the trace that it joined."""

from dataclasses import replace

from runlog_otel.core import identity
from runlog_otel.core.model import Header, Run
from runlog_otel.core.spans import spans_from_run
from tests.core.logs import at, attempt, run, task, verdict

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STARTED = {"runlog.trigger.type": "ci", "runlog.trigger.name": "GitLab CI", "vcs.ref.head.name": "main"}


def retried(header: Header) -> Run:
    return run(
        task("a", attempt(2, 3, ok=False), attempt(11, 12, number=2)),
        verdict("fail", 4),
        verdict("success", 13),
        header=header,
    )


def test_who_started_a_run_is_told_of_its_first_execution() -> None:
    """Somebody else may have started the retry, from another branch."""
    traces = spans_from_run(retried(Header(at(0), 0, facts=STARTED)))
    told = [{key: trace.spans[0].attributes.get(key) for key in STARTED} for trace in traces]
    assert told == [STARTED, dict.fromkeys(STARTED)]


def test_the_executions_of_a_run_share_their_callers_trace_and_no_span_id() -> None:
    """Nor do two runs; each root is a child of the caller, whose state its spans have."""
    header = Header(at(0), 0, f"00-{TRACE}-{SPAN}-00", is_child=True, tracestate="vendor=a")
    log = retried(header)
    traces = [trace for each in (log, replace(log, run_id="another")) for trace in spans_from_run(each)]
    spans = [span for trace in traces for span in trace.spans]
    assert {(span.trace_id.hex(), span.tracestate) for span in spans} == {(TRACE, "vendor=a")}
    assert [trace.spans[0].parent_span_id.hex() for trace in traces] == [SPAN] * 4
    assert len({span.span_id for span in spans}) == len(spans)
    assert [[link.attributes for link in trace.spans[0].links] for trace in traces[:2]] == [
        [],
        [{"runlog.link": "previous_execution"}],
    ]


def test_a_caller_that_is_malformed_changes_nothing() -> None:
    """Whatever wrote the log."""
    log = retried(Header(at(0), 0, f"00-{TRACE}-{'0' * 16}-01", is_child=True))
    ids = [trace.execution.trace_id for trace in spans_from_run(log)]
    assert ids == [identity.trace_id("", log.run_id, number) for number in (1, 2)]
