"""magnus's run log as a `Run`: what it writes otherwise than runnable, and what older writers of its format did."""

import json
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.model import CodeIdentity, Header, Node, Status
from runlog_otel.core.runlogs.json_runlog import host_of, run_from_log, step_from_log
from runlog_otel.core.runlogs.timestamps import TimestampParser
from runlog_otel.core.spans import spans_from_run

_GOLDEN = Path(__file__).parents[2] / "golden"
_UTC = TimestampParser(Header(), timezone.utc)
_NOON = 1_783_252_800_000_000_000
"""2026-07-05 12:00:00 UTC."""


def recorded(name: str) -> Any:
    return json.loads((_GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))


def step(*attempts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    whole = [{"attempt_number": number, "status": "SUCCESS", **one} for number, one in enumerate(attempts, 1)]
    return {"name": "train", "internal_name": "train", "status": "SUCCESS", "attempts": whole, **fields}


@pytest.mark.parametrize("name", ["demo", "job", "retried"])
def test_the_log_of_runnable_is_told_apart(name: str) -> None:
    """By nothing but itself."""
    assert (host_of(recorded(name)), run_from_log(recorded(name)).host) == ("runnable", "runnable")


@pytest.mark.parametrize("name", ["nested", "regions", "again", "killed", "function", "older"])
def test_the_log_of_magnus_is_told_apart(name: str) -> None:
    """One that lost its config too."""
    log = recorded(f"magnus-{name}")
    assert (host_of(log), run_from_log({**log, "run_config": {}}).host) == ("magnus", "magnus")


def lower(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: value.lower() if key == "status" else lower(value) for key, value in part.items()}
    return [lower(value) for value in part] if isinstance(part, list) else part


@pytest.mark.parametrize("name", ["magnus-nested", "magnus-regions", "magnus-killed", "retried"])
def test_statuses_mean_the_same_in_lower_case(name: str) -> None:
    """Of runs, branches, steps and attempts."""
    assert run_from_log(lower(recorded(name))) == run_from_log(recorded(name))


def test_what_magnus_wrote_before_0_5_is_known() -> None:
    """A real log of 0.4.22: its executor and its graph, whose nodes have no names, so that counters begin at zero."""
    run = run_from_log(recorded("magnus-older"), zone=timezone.utc)
    of_region, of_both = {"each region": "map", "clean": "task"}, {"both": "parallel", "work": "as-is"}
    kinds = {"load": "task", **of_region, **of_both, "publish": "task"}
    assert (run.pipeline, run.executor) == ("magnus", "local")
    assert run.graph == tuple(Node(name, kind) for name, kind in kinds.items())


def test_metrics_of_the_step_are_its_last_attempt_s() -> None:
    """An attempt that failed had none: magnus writes them when a step succeeds."""
    metrics = {"rows": 3, "loss": {"0": 0.5, "1": {"kind": "a", "value": 2}}, "label": "fair", "no": None, "big": 2**70}
    first, last = step_from_log(step({"status": "FAIL"}, {}, user_defined_metrics=metrics), _UTC).attempts
    assert first.metrics == {}
    assert last.metrics == {
        "big": str(2**70),
        "label": "fair",
        "loss.0": 0.5,
        "loss.1.kind": "a",
        "loss.1.value": 2,
        "rows": 3,
    }


def test_code_identities_of_the_step_are_those_of_each_attempt() -> None:
    """Where attempts have their own, these count."""
    git = {"code_identifier": "abc", "code_identifier_type": "git", "code_identifier_url": "u"}
    expected = (CodeIdentity("git", "abc", "u"),)
    attempts = step_from_log(step({}, {}, code_identities=[git]), _UTC).attempts
    assert [attempt.code for attempt in attempts] == [expected, expected]
    own = step_from_log(step({"code_identities": [git | {"code_identifier": "own"}]}, code_identities=[git]), _UTC)
    assert own.attempts[0].code == (CodeIdentity("git", "own", "u"),)


@given(st.timedeltas(timedelta(0), timedelta(days=400)))
def test_an_attempt_without_an_end_has_it_by_its_duration(duration: timedelta) -> None:
    """`str(timedelta)`, days and fractions included."""
    attempt = {"start_time": "2026-07-05 12:00:00", "duration": str(duration)}
    mapped = step_from_log(step(attempt), _UTC).attempts[0]
    taken = duration // timedelta(microseconds=1) * 1000
    assert (mapped.start_ns, mapped.end_ns) == (_NOON, _NOON + taken)


@pytest.mark.parametrize("duration", ["", "soon", None, "-1 day, 23:59:59", 3])
def test_what_is_no_duration_gives_no_end(duration: Any) -> None:
    """A clock that went backwards included."""
    mapped = step_from_log(step({"start_time": "2026-07-05 12:00:00", "duration": duration}), _UTC).attempts[0]
    assert mapped.end_ns is None


def test_parameters_of_an_attempt_are_those_it_was_given() -> None:
    """By their names."""
    attempt = {"parameters": {"b": 1, "a": {"secret": 2}}}
    assert step_from_log(step(attempt), _UTC).attempts[0].input_parameters == ("a", "b")


def test_a_re_run_links_to_the_original_and_skips_what_it_had_done() -> None:
    """Mocked steps have no attempts, composite ones no branches."""
    run = run_from_log(recorded("magnus-again"))
    original = run_from_log({**recorded("magnus-again"), "run_id": run.original_run_id})
    (trace,), (first,) = spans_from_run(run), spans_from_run(original)
    assert [(link.trace_id, link.span_id) for link in trace.spans[0].links] == [
        (first.execution.trace_id, first.spans[0].span_id)
    ]
    assert {step.path: (step.is_mock, step.attempts, step.branches) for step in run.steps[:2]} == {
        "load": (True, (), ()),
        "both": (True, (), ()),
    }


def test_a_run_that_reached_its_end_is_complete_though_its_status_was_not_written() -> None:
    """magnus swallows what the store raises in the success node: its exit status is 0, and the log says PROCESSING."""
    run = run_from_log({**recorded("magnus-nested"), "status": "PROCESSING"})
    (trace,) = spans_from_run(run)
    assert (run.status, trace.is_complete) == (Status.PROCESSING, True)
    assert trace.spans == spans_from_run(run_from_log(recorded("magnus-nested")))[0].spans


def test_a_single_function_is_a_job() -> None:
    """It has no graph, so no verdict: it ends by the status of its run."""
    run = run_from_log(recorded("magnus-function"))
    assert [(step.name, step.kind) for step in run.steps] == [("executing job", "job")]
    assert [trace.is_complete for trace in spans_from_run(run)] == [True]


def test_the_graph_is_known_whatever_ran() -> None:
    """Steps at every depth, those too that were never reached; the terminal ones are no work."""
    run = run_from_log(recorded("magnus-regions"))
    assert [(node.name, node.kind) for node in run.graph] == [
        ("load", "task"),
        ("each region", "map"),
        ("clean", "task"),
        ("check", "stub"),
    ]
    nested = run_from_log(recorded("magnus-nested"))
    assert [node.name for node in nested.graph] == ["load", "Dag", "both", "work", "rest"]
