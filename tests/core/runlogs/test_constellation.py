"""An execution of Constellation becomes a run; the starts of its nodes follow from the graph."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.model import Status
from runlog_otel.core.redaction import RedactionPolicy
from runlog_otel.core.runlogs.constellation import run_from_execution
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span, SpanRole
from runlog_otel.errors import RunLogFormatError
from tests.core.logs import points_from_run

START_MS = 1_790_000_000_000
GRAPH = {
    "nodes": [
        {"id": "n0", "kind": "Input", "label": "order", "typeSignature": "Order"},
        {"id": "n1", "kind": "Operation", "label": "FetchCustomer", "typeSignature": "Customer"},
        {"id": "n2", "kind": "Operation", "label": "Score", "typeSignature": "Float"},
        {"id": "n3", "kind": "Merge", "label": "+", "typeSignature": "Order"},
    ],
    "edges": [
        {"id": "e0", "source": "n0", "target": "n1", "kind": "Data"},
        {"id": "e1", "source": "n0", "target": "n2", "kind": "Data"},
        {"id": "e2", "source": "n1", "target": "n3", "kind": "Data"},
        {"id": "e3", "source": "n2", "target": "n3", "kind": "Data"},
    ],
    "groups": [],
    "metadata": {"title": "enrich", "layoutDirection": "TB"},
}


def result(node: str, milliseconds: int | None, status: str = "Completed", error: str | None = None) -> dict[str, Any]:
    return {"nodeId": node, "status": status, "value": {"a": 1}, "durationMs": milliseconds, "error": error}


def execution(*results: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """An execution of half a second."""
    return {
        "executionId": "5f2c",
        "dagName": "enrich",
        "scriptPath": "flows/enrich.cst",
        "startTime": START_MS,
        "endTime": START_MS + 500,
        "inputs": {"order": {"id": "secret"}, "limit": 3},
        "outputs": {"enriched": "<truncated: 20480 bytes>"},
        "status": "Completed",
        "nodeResults": {result["nodeId"]: result for result in results},
        "dagVizIR": GRAPH,
        "sampleRate": 0.25,
        "source": "VSCodeExtension",
        **fields,
    }


def spans_of(document: Mapping[str, Any]) -> list[Span]:
    (trace,) = spans_from_run(run_from_execution(document))
    return list(trace.spans)


def times(spans: list[Span], part: SpanRole = SpanRole.ATTEMPT) -> dict[str, tuple[int, int]]:
    """Start and end in milliseconds after the start of the execution, by name."""
    return {
        span.name.removesuffix(" attempt"): (
            span.start_ns // 1_000_000 - START_MS,
            span.end_ns // 1_000_000 - START_MS,
        )
        for span in spans
        if span.role is part
    }


def test_a_node_starts_when_those_before_it_ended() -> None:
    """The graph gives the order, whatever the order of the results; each span says that its start is derived."""
    spans = spans_of(execution(result("n3", 5), result("n2", 300), result("n1", 100)))
    assert times(spans) == {"FetchCustomer": (0, 100), "Score": (0, 300), "+": (300, 305)}
    assert times(spans, SpanRole.STEP) == times(spans)
    assert times(spans, SpanRole.RUN) == {"RUN enrich": (0, 500)}
    assert {span.role for span in spans if semconv.START_IS_DERIVED in span.attributes} == {
        SpanRole.STEP,
        SpanRole.ATTEMPT,
    }


def test_the_root_tells_names_and_no_value() -> None:
    """Inputs and outputs leave by name; sample rate and source are attributes of the run."""
    root = spans_of(execution(result("n1", 100)))[0]
    assert dict(root.attributes) == {
        semconv.PIPELINE_NAME: "enrich",
        semconv.PIPELINE_RUN_ID: "5f2c",
        semconv.EXECUTION: 1,
        semconv.PIPELINE_ACTION: "RUN",
        semconv.PIPELINE_RESULT: "success",
        semconv.RUN_HOST: "constellation",
        semconv.RUN_USE_CACHED: False,
        semconv.RUN_DEFINITION: "flows/enrich.cst",
        semconv.INPUT_PARAMETERS: ("limit", "order"),
        semconv.OUTPUT_PARAMETERS: ("enriched",),
        semconv.RUN_SAMPLE_RATE: 0.25,
        semconv.RUN_SOURCE: "VSCodeExtension",
    }


def test_listed_inputs_and_outputs_leave_with_their_values() -> None:
    """What is no scalar as JSON; what is not listed stays."""
    policy = RedactionPolicy(parameters=("limit", "enrich*"))
    (trace,) = spans_from_run(run_from_execution(execution(result("n1", 100))), policy=policy)
    told = {key: value for key, value in trace.spans[0].attributes.items() if key.startswith("runlog.parameter.")}
    assert told == {
        "runlog.parameter.input.limit": 3,
        "runlog.parameter.output.enriched": "<truncated: 20480 bytes>",
    }


def test_a_failure_says_why() -> None:
    """The node's error is the attempt's message; a node that ran when the execution ended says so; the run failed."""
    failed = execution(
        result("n1", 100, "Failed", "no customer\nat line 3"),
        result("n2", None, "Running"),
        status="Failed",
        outputs=None,
    )
    spans = spans_of(failed)
    assert [(span.name, span.error) for span in spans if span.role in (SpanRole.RUN, SpanRole.ATTEMPT)] == [
        ("RUN enrich", "step Score failed"),
        ("FetchCustomer attempt", "no customer\nat line 3"),
        ("Score attempt", "the node was still running when the execution ended"),
    ]
    assert times(spans)["Score"] == (0, 500)


def test_a_running_execution_has_no_end() -> None:
    """What is final in it is told: its start and its finished nodes; nothing is counted."""
    running = execution(result("n1", 100), result("n2", None, "Running"), status="Running", endTime=None, outputs=None)
    spans = spans_of(running)
    assert [(span.role, span.name) for span in spans] == [
        (SpanRole.START, "START enrich"),
        (SpanRole.ATTEMPT, "FetchCustomer attempt"),
    ]
    assert points_from_run(run_from_execution(running)) == []


def test_without_a_graph_nodes_start_with_the_execution() -> None:
    """SQLite's table has none, and JSONB keeps no order of the results: nothing else is known."""
    spans = spans_of(execution(result("b", 100), result("a", 300), dagVizIR=None))
    assert times(spans) == {"a": (0, 300), "b": (0, 100)}


def test_no_pause_is_told_of_derived_starts() -> None:
    """A queue time would be made up."""
    (points,) = points_from_run(run_from_execution(execution(result("n1", 100), result("n3", 5))))
    told = {point.metric for point in points.points}
    assert semconv.STEP_DURATION in told
    assert semconv.STEP_QUEUE_TIME not in told


def test_an_execution_without_an_end_time_has_ended_all_the_same() -> None:
    """Its status says so; the last node gives the time."""
    spans = spans_of(execution(result("n1", 100), endTime=None))
    assert times(spans, SpanRole.RUN) == {"RUN enrich": (0, 100)}


def test_columns_that_are_empty_have_their_defaults() -> None:
    """A table of somebody's own may have no value where Constellation's has one."""
    empty = dict.fromkeys(("dagName", "scriptPath", "inputs", "outputs", "sampleRate", "source"))
    run = run_from_execution(execution(result("n1", 100), **empty))
    assert (run.pipeline, run.definition, run.attributes[semconv.RUN_SAMPLE_RATE]) == ("constellation", "", 1.0)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("status", "Paused", "'Paused' is no status; known are Running, Completed, Failed"),
        ("nodeResults", {"n1": result("n1", 1, "Pending")}, "'Pending' is no status"),
        ("startTime", None, "int() argument"),
        ("startTime", 10**400, "a time of more than 1000000000000000 ms"),
        ("nodeResults", {"n1": result("n1", -(10**400))}, "a time of more than 1000000000000000 ms"),
        ("nodeResults", [1], "no attribute"),
        ("dagVizIR", {"nodes": [{"id": "a"}], "edges": [{"source": "a", "target": "a"}]}, "cycle"),
    ],
)
def test_what_is_no_execution_is_refused(field: str, value: Any, problem: str) -> None:
    """In one line that names the execution."""
    with pytest.raises(RunLogFormatError, match="execution '5f2c'") as raised:
        run_from_execution(execution(**{field: value}))
    assert problem in str(raised.value)


@st.composite
def executions(draw: st.DrawFn) -> dict[str, Any]:
    """An execution that has ended, over a graph without cycles."""
    count = draw(st.integers(0, 6))
    ids = [f"n{index}" for index in range(count)]
    edges = [
        {"source": ids[left], "target": ids[right]}
        for left in range(count)
        for right in range(left + 1, count)
        if draw(st.booleans())
    ]
    results = [result(node, draw(st.integers(0, 400)), draw(st.sampled_from(["Completed", "Failed"]))) for node in ids]
    nodes = draw(st.permutations([{"id": node, "kind": "Operation", "label": node} for node in ids]))
    return execution(
        *draw(st.permutations(results)),
        dagVizIR={"nodes": nodes, "edges": edges} if draw(st.booleans()) else None,
        status=draw(st.sampled_from(["Completed", "Failed"])),
        endTime=draw(st.none() | st.integers(START_MS - 1000, START_MS + 3000)),
    )


@given(executions())
def test_nodes_keep_the_order_of_the_graph(document: dict[str, Any]) -> None:
    """None starts before the execution or before one of those before it, nor after the end; there is one execution.

    Whatever the clock did: an end before the start is one at the start.
    """
    steps = {step.path: step.attempts[0] for step in run_from_execution(document).steps if not step.is_terminal}
    end_ns = document["endTime"] and max(START_MS, document["endTime"]) * 1_000_000
    for attempt in steps.values():
        assert attempt.start_ns is not None
        assert START_MS * 1_000_000 <= attempt.start_ns <= (end_ns or attempt.start_ns)
    for edge in (document["dagVizIR"] or {"edges": []})["edges"]:
        source, target = steps[edge["source"]], steps[edge["target"]]
        assert (target.start_ns or 0) >= min(source.end_ns or 0, end_ns or source.end_ns or 0)
    assert len(spans_from_run(run_from_execution(document))) == 1


@given(executions(), st.data())
def test_what_a_running_execution_told_stays_true(document: dict[str, Any], data: st.DataObject) -> None:
    """The spans of finished nodes are the same when the execution has ended: an id has one content."""
    document["endTime"] = START_MS + 10_000
    results = document["nodeResults"]
    running = data.draw(st.sets(st.sampled_from(sorted(results)))) if results else set()
    edges = (document["dagVizIR"] or {"edges": []})["edges"]
    for _ in edges:  # what comes after a node that runs has not started
        running |= {edge["target"] for edge in edges if edge["source"] in running}
    finished = {node: found for node, found in results.items() if node not in running}
    before = run_from_execution({**document, "nodeResults": finished, "status": "Running", "endTime": None})
    assert before.status is Status.PROCESSING
    after = {span.span_id: span for span in spans_of(document)}
    for trace in spans_from_run(before):
        assert [span for span in trace.spans if after[span.span_id] != span] == []
