"""Documents and entries, without a database."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.stores.entries import (
    Entry,
    document_from_entries,
    entries_from_document,
    failure_of,
    header_from_document,
    parents_of_branch,
    times_of,
)

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: "." not in name)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.dictionaries(st.text(max_size=5), VALUES, max_size=3)


@st.composite
def steps(draw: st.DrawFn, path: str = "", depth: int = 0) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        key = f"{path}{name}"
        branches: dict[str, Any] = {}
        if depth < 2:
            for value in draw(st.lists(NAMES, unique=True, max_size=2)):
                branch = f"{key}.{value}"
                branches[branch] = {
                    "internal_name": branch,
                    "status": "SUCCESS",
                    "steps": draw(steps(f"{branch}.", depth + 1)),
                    "parameters": draw(PARAMETERS),
                }
        made[key] = {
            "name": name,
            "internal_name": key,
            "status": "FAIL",
            "branches": branches,
            "message": draw(st.text()),
        }
    return made


@given(steps(), PARAMETERS, PARAMETERS, st.none() | st.just({"status": "FAIL", "attempts": []}))
def test_a_document_survives_being_taken_apart(
    nest: dict[str, Any], parameters: dict[str, Any], config: dict[str, Any], job: dict[str, Any] | None
) -> None:
    """What entries are made of a document gives that document again, in the order it had."""
    document = {"run_id": "r", "steps": nest, "job": job, "parameters": parameters, "run_config": config, "tag": None}
    again = document_from_entries(header_from_document(document), entries_from_document(document))
    assert again == document
    assert list(again["steps"]) == list(nest)


def test_times_of_a_step_envelop_its_attempts() -> None:
    """The first start and the last end count; what is empty or no time does not."""
    attempts = [
        {"start_time": "2026-01-01 10:00:00.000001+00:00", "end_time": "2026-01-01 10:00:09+00:00"},
        {"start_time": "2026-01-01 10:00:05+00:00", "end_time": ""},
        {"start_time": "nonsense", "end_time": None},
    ]
    assert times_of({"attempts": attempts}) == (1_767_261_600_000_001_000, 1_767_261_609_000_000_000)


def test_only_a_failed_step_has_a_failure() -> None:
    """A step that was retried with success did not fail; of a failed one, all messages are kept."""
    attempts = [{"status": "FAIL", "message": "one"}, {"status": "FAIL", "message": ""}]
    assert failure_of({"status": "SUCCESS", "attempts": attempts}) is None
    assert failure_of({"status": "FAIL", "message": "of the step", "attempts": attempts}) == "of the step\none"


def test_a_branch_may_belong_to_several_steps() -> None:
    """A value may hold dots, so every prefix may be the step; the longest is the likeliest."""
    assert parents_of_branch("mp.1.5") == ["mp.1", "mp"]


ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(st.lists(st.recursive(VALUES | st.floats() | ANY_TEXT, lambda inner: st.dictionaries(ANY_TEXT, inner))))
def test_values_are_those_of_the_standard_parser(values: list[Any]) -> None:
    """Also NaN and infinities, large numbers and lone surrogates."""
    texts = {str(number): json.dumps(value) for number, value in enumerate(values)}
    document = document_from_entries({"run_id": "r"}, [Entry("parameter", *entry) for entry in texts.items()])
    assert repr(document.get("parameters", {})) == repr({name: json.loads(text) for name, text in texts.items()})
