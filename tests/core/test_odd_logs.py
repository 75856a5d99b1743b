"""Whatever stands in a log: it is mapped, or refused in one way; and what is mapped can be encoded, twice alike."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

from runlog_otel.core import semconv
from runlog_otel.core.diagnosis import diagnosis_of, document_of
from runlog_otel.core.failure import failure_from_message
from runlog_otel.core.model import Run
from runlog_otel.core.points import known_points, points_from_trace
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.redaction import MASK, RedactionPolicy
from runlog_otel.core.runlogs.constellation import run_from_execution
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.spans import spans_from_run
from runlog_otel.errors import RunLogFormatError
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.exporters.otlp.encode import json_from_request, request_from_spans
from runlog_otel.exporters.otlp.metrics import metrics_from_series
from tests.core.runlogs.test_constellation import execution, result

_GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.log.json"))
_ALL = RedactionPolicy(parameters=("*",), has_digests=True)


def nested(depth: int, value: Any = 1) -> Any:
    """Lists and mappings inside of each other."""
    for number in range(depth):
        value = {"a": value} if number % 2 else [value]
    return value


_TIMES = (
    *("1969-12-31 23:59:59.999999", "0001-01-01 00:00:00", "0001-01-01T00:00:00+23:59", "2263-01-01 00:00:00"),
    *("9999-12-31 23:59:59.999999", "9999-12-31T23:59:59-23:59", "2026-02-30", "\ud800", "yesterday"),
)
_NUMBERS = (0, -1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**19, 10**400, 0.5, 1e308, float("nan"), float("inf"), -1e999)
_TEXTS = (
    *("", "\0", "\ud800", "a\udfffb", "\x1b[31m", "\u202e", "." * 300, "success", "fail", "map", "git", "x" * 5000),
    *(
        "9" * 5000,
        f"exit status {'9' * 5000}\nno",
        "exit status ٣",
        "killed by signal 99999999999",
        "SUCCESS",
        "object",
    ),
)
_NESTS = (
    *(list, dict, lambda: [None], lambda: {"": None}, lambda: {"\ud800": "\ud800"}),
    *(lambda: {"kind": "json", "value": nested(300)}, lambda: nested(20), lambda: nested(250), lambda: nested(900)),
)
_ODD = st.sampled_from((None, True, False, *_TIMES, *_NUMBERS, *_TEXTS)) | st.sampled_from(_NESTS).map(
    lambda new: new()
)


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each value in a document."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield (*path, key)
        if len(path) < 50:
            yield from places(value, (*path, key))


def recorded(path: Path) -> Any:
    """A log that a host wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


@st.composite
def odd(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """A document with odd values in random places, and with parts that are missing."""
    document = draw(documents)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(document)) or [("run_id",)]))
        parent = document
        for key in way:
            parent = parent[key]
        change = draw(st.sampled_from(("replace", "delete", "insert", "another key")))
        value = draw(_ODD)
        if change == "delete":
            del parent[last]
        elif change == "replace":
            parent[last] = value
        elif isinstance(parent, list):
            parent.insert(last, value)
        else:
            name = draw(st.sampled_from(_TEXTS)) if change == "another key" else "value"
            parent[name] = parent.pop(last) if change == "another key" else value
    return document


def mapped(run: Run) -> list[bytes | str]:
    """Everything that is made of a run."""
    made: list[bytes | str] = []
    table = SeriesTable()
    table.add(known_points(run))
    for is_abandoned in (False, True):
        for trace in spans_from_run(run, policy=_ALL, is_abandoned=is_abandoned):
            resource = {"service.name": trace.execution.resource_pipeline()}
            request = request_from_spans(resource, trace.spans)
            made += [request.SerializeToString(deterministic=True), json_from_request(request)]
            if trace.is_complete:
                table.add(points_from_trace(run, trace, by_tag=True).points)
    records = records_of(run, spans_from_run(run, policy=_ALL, is_abandoned=True))
    made += [json.dumps(document_of(diagnosis_of(record, records)), allow_nan=False) for record in records]
    made.append(encode_metrics(metrics_from_series({}, table, 1, 2)).SerializeToString(deterministic=True))
    return made


def outcome(run_from: Callable[[Any], Run], document: Any) -> list[bytes | str] | str:
    """Everything that is made of a document, or why it is refused."""
    try:
        return mapped(run_from(document))
    except RunLogFormatError as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(odd(st.sampled_from(_GOLDEN).map(recorded)))
@example([])
@example(None)
@example({"steps": {}, "status": "SUCCESS", "run_id": "\ud800"})
def test_an_odd_log_is_mapped_or_refused(document: Any) -> None:
    """Nothing but a format error is raised, and a second mapping makes the same bytes."""
    in_utc = partial(run_from_log, zone=timezone.utc)
    assert outcome(in_utc, document) == outcome(in_utc, document)


_EXECUTION = execution(result("n1", 100), result("n2", 300, "Failed", "no customer"), result("n3", 5))


@settings(max_examples=200, deadline=None)
@given(odd(st.just(_EXECUTION).map(copy.deepcopy)))
def test_an_odd_execution_of_constellation_is_mapped_or_refused(document: Any) -> None:
    """As a log of the other hosts is."""
    assert outcome(run_from_execution, document) == outcome(run_from_execution, document)


def log(*attempts: Any, **more: Any) -> dict[str, Any]:
    """A log of one step with these attempts."""
    step = {"name": "load", "internal_name": "load", "step_type": "task", "status": "FAIL", "attempts": list(attempts)}
    return {"run_id": "r", "status": "FAIL", "run_config": {}, "steps": {"load": step | more}}


def failed(message: str = "", **more: Any) -> dict[str, Any]:
    """A failed attempt."""
    times = {"start_time": "2026-01-01 00:00:00", "end_time": "2026-01-01 00:00:01"}
    return {"attempt_number": 1, "status": "FAIL", "message": message, **times, **more}


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the document"),
        ({"run_id": "r", "status": "FAIL"}, "the log of 'r'"),
        ({"run_id": ["r"], "status": "FAIL", "steps": {"load": None}}, "the document"),
        ({"run_id": "r\n\ud800", "status": True, "steps": {}}, r"the log of 'r\n\ud800'"),
        (log(failed(attempt_number="9" * 5000)), "the log of 'r'"),
        (log(failed(attempt_number=float("inf"))), "the log of 'r'"),
        (log(failed(), data_catalog=[nested(2000)]), "the log of 'r'"),
        (log(failed(user_defined_metrics={"m": {"value": nested(2000)}})), "the log of 'r'"),
    ],
    ids=["a list", "no steps", "a null step", "a bool for a status", "5,000 digits", "infinity", "a list", "deep"],
)
def test_what_is_no_run_log_is_refused_in_one_line(document: Any, where: str) -> None:
    """With its run id where it has one, and what is wrong."""
    with pytest.raises(RunLogFormatError) as refused:
        run_from_log(document)
    assert str(refused.value).startswith(f"{where} is not a run log: ")
    assert str(refused.value).isprintable()


def test_graphs_inside_of_each_other_are_mapped_up_to_a_depth() -> None:
    """Fifty are; more are refused, however deep the caller stands."""

    def deep(depth: int) -> dict[str, Any]:
        document = log(failed())
        for _ in range(depth):
            branch = {"internal_name": "load.b", "status": "FAIL", "steps": document["steps"]}
            document = log(branches={"load.b": branch})
        return document

    (trace,) = spans_from_run(run_from_log(deep(49)), is_abandoned=True)
    assert sum(span.role.value == "branch" for span in trace.spans) == 49
    for depth in (50, 120, 5000):
        with pytest.raises(RunLogFormatError, match=r"more than 50 graphs|nested too deeply"):
            run_from_log(deep(depth))


def test_a_value_that_is_nested_too_deeply_is_told_of_by_its_name_alone() -> None:
    """And has no digest, which all such values would share."""
    parameters = {name: {"kind": "json", "value": nested(depth)} for name, depth in (("flat", 3), ("deep", 250))}
    (trace,) = spans_from_run(run_from_log(log(failed(input_parameters=parameters))), policy=_ALL, is_abandoned=True)
    told = {key: value for key, value in trace.spans[-1].attributes.items() if key.startswith("runlog.parameter.")}
    assert told == {"runlog.parameter.input.deep": "…", "runlog.parameter.input.flat": '[{"a": [1]}]'}
    assert [key for key in trace.spans[-1].attributes if "digest" in key] == ["runlog.parameter_digest.input.flat"]


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        ("exit status 3", "exit_3", 3),
        ("exit status 4294967295\nno", "exit_4294967295", 2**32 - 1),
        (f"exit status {'9' * 5000}", "_OTHER", None),
        ("exit status ٣", "_OTHER", None),
        ("killed by signal 9", "signal_9", None),
        (f"killed by signal {'9' * 5000}", "_OTHER", None),
    ],
)
def test_an_exit_status_is_what_a_system_can_have(message: str, kind: str, code: int | None) -> None:
    """Anything longer is text: it would be a type of its own in every metric."""
    failure = failure_from_message(message)
    assert (failure.type, failure.exit_code) == (kind, code)


def test_a_stage_that_no_host_writes_is_no_label() -> None:
    """It was written by somebody, may be of any length, and is not redacted in a label."""
    items = [{"name": "a.csv", "stage": stage} for stage in ("get", "put", "\ud800 password=hunter2")]
    document = log(failed(status="SUCCESS"), status="SUCCESS", data_catalog=items)
    run = run_from_log(document)
    (trace,) = spans_from_run(run, is_abandoned=True)
    points = [point for point in points_from_trace(run, trace).points if point.metric == semconv.CATALOG_ITEMS]
    assert [dict(point.labels).get(semconv.CATALOG_STAGE) for point in points] == ["get", "put", None]


def test_a_label_of_a_definition_is_as_it_may_leave() -> None:
    """The kind of a node, too: its text is somebody's."""
    document = log(failed())
    document["run_config"] = {"dag": {"nodes": {"a": {"name": "\ud800", "node_type": "\ud800 password=hunter2"}}}}
    labels = {dict(point.labels).get(semconv.STEP_TYPE) for point in known_points(run_from_log(document))}
    assert labels == {None, f"? password={MASK}"}
