"""runnable's run log as a `Run`: times, headers, metrics, and documents that are no run log."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runlog_otel.core.model import Header
from runlog_otel.core.runlogs.header import header_from_config
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.runlogs.timestamps import TimestampParser
from runlog_otel.errors import RunLogFormatError
from tests.core.logs import points_from_run

_RECORDED = json.loads((Path(__file__).parents[2] / "golden" / "retried.log.json").read_text(encoding="utf-8"))
_SUMMER = 1_783_252_800_000_000_000
"""2026-07-05 12:00:00 UTC."""


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_naive_times_are_read_with_the_header_s_offset() -> None:
    """Wherever the log is read, and whatever zone is configured."""
    clock = TimestampParser(Header(utc_offset_seconds=7200), ZoneInfo("America/Lima"))
    assert clock("2026-07-05 14:00:00") == _SUMMER


def test_without_a_header_naive_times_are_read_in_the_configured_zone() -> None:
    """Daylight saving time included."""
    berlin = TimestampParser(Header(), ZoneInfo("Europe/Berlin"))
    assert (berlin("2026-07-05 14:00:00"), berlin("2026-01-05 13:00:00.000001")) == (_SUMMER, 1_767_614_400_000_001_000)


@pytest.mark.usefixtures("in_tokyo")
def test_without_header_and_zone_naive_times_are_the_machine_s() -> None:
    """As the host wrote them: `datetime.now()`."""
    assert TimestampParser(Header())("2026-07-05 21:00:00") == _SUMMER


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01 00:00:00", "0001-01-01 00:00:00", None, 3])
def test_what_is_no_time_is_none(text: Any) -> None:
    """The host writes "" for a time that is not set."""
    assert TimestampParser(Header(), ZoneInfo("Asia/Tokyo"))(text) is None or text == "0001-01-01 00:00:00"


@pytest.mark.parametrize(
    "own", [None, "x", 3, [], {}, {"created": "soon"}, {"created": "2026-07-05 12:00:00"}, {"created": None}]
)
def test_a_header_that_is_not_ours_is_no_header(own: object) -> None:
    """Somebody else's key of that name changes nothing."""
    assert header_from_config({"runlog_otel": own}) == Header()


def test_nested_metrics_are_flattened() -> None:
    """The parts of a mapping are joined by dots."""
    run = run_from_log(_RECORDED)
    assert dict(run.steps[0].attempts[0].metrics) == {"quality.loss.train": 0.5, "quality.loss.test": 0.7}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"dag": {"name": "etl"}, "pipeline_definition_file": "a.main"}, "etl"),
        ({"dag": {"name": ""}, "pipeline_definition_file": "flows.train.main"}, "flows.train.main"),
        ({"pipeline_definition_file": "/srv/flows/train.yaml"}, "train"),
        ({"job_definition_file": "jobs.score.main"}, "jobs.score.main"),
        ({}, "runnable"),
    ],
)
def test_a_pipeline_is_named_by_its_graph_or_its_definition(config: dict[str, Any], expected: str) -> None:
    """`dag.name` is usually empty; an async pipeline has no definition either."""
    log = {"run_id": "r", "status": "SUCCESS", "steps": {}, "run_config": config}
    assert run_from_log(log).pipeline == expected
    assert run_from_log(log, "set").pipeline == "set"


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON, st.sampled_from(["run_id", "status", "steps", "run_config", "job", "tag"]))
def test_a_damaged_document_is_told_in_one_line(value: Any, key: str) -> None:
    """Whatever stands where: it maps, or it is said to be no run log."""
    assert _maps_or_says_why({**_RECORDED, key: value})


@example("", "internal_name")
@given(_JSON, st.sampled_from(["attempts", "branches", "data_catalog", "status", "internal_name", "name", "step_type"]))
def test_a_damaged_step_is_told_in_one_line(value: Any, key: str) -> None:
    """The same inside a step."""
    step = {**_RECORDED["steps"]["train"], key: value}
    assert _maps_or_says_why({**_RECORDED, "steps": {"train": step}})


@given(_JSON, st.sampled_from(["attempt_number", "start_time", "message", "user_defined_metrics", "code_identities"]))
@example(float("inf"), "attempt_number")
def test_a_damaged_attempt_is_told_in_one_line(value: Any, key: str) -> None:
    """The same inside an attempt."""
    step = _RECORDED["steps"]["train"]
    attempts = [{**attempt, key: value} for attempt in step["attempts"]]
    assert _maps_or_says_why({**_RECORDED, "steps": {"train": {**step, "attempts": attempts}}})


def _maps_or_says_why(log: dict[str, Any]) -> bool:
    try:
        run = run_from_log(log)
    except RunLogFormatError as error:
        return "is not a run log" in str(error)
    points_from_run(run, is_abandoned=True)  # what maps is traced and counted, however odd
    return True


@pytest.mark.parametrize(("executor", "has_executor_retries"), [("argo", True), ("local", False)])
def test_the_executor_says_whether_steps_are_run_again(executor: str, has_executor_retries: bool) -> None:
    """Only Argo runs a failed pod again within an execution."""
    log = {**_RECORDED, "run_config": {**_RECORDED["run_config"], "pipeline_executor": {"service_name": executor}}}
    assert run_from_log(log).has_executor_retries is has_executor_retries
