"""What is written into the log of a run is read back from it, and nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.model import AttemptEvent, Ending, Facts
from runlog_otel.core.runlogs.facts import FACTS, code_from_facts, ending_entry, run_facts
from tests.core.logs import facts_of

_INT64 = st.integers(-(2**63), 2**63 - 1)
_VALUES = st.text(max_size=5) | st.booleans() | _INT64 | st.floats(allow_nan=False, allow_infinity=False)
_LISTS = st.lists(st.text(max_size=5), max_size=3).map(tuple)
_FREE = st.text(min_size=1, max_size=8).filter(semconv.is_free)
_SAID = st.dictionaries(_FREE, _VALUES | _LISTS, max_size=4)
_EVENTS = st.builds(AttemptEvent, st.integers(0, 2**63 - 1), _FREE, _SAID)
_FACTS = st.builds(
    Facts,
    st.dictionaries(st.sampled_from(sorted(semconv.ATTEMPT_FACTS)), _VALUES, max_size=4),
    _SAID,
    st.lists(_EVENTS, max_size=3).map(tuple),
    st.sampled_from(("", "oom_killed")),
)


def step_with(*facts: Facts, is_on_step: bool = False) -> dict[str, Any]:
    """A step whose attempts have these facts, as in runnable, or on the step, as in magnus."""
    codes = [code_from_facts(one, index if is_on_step else None) for index, one in enumerate(facts)]
    attempts = [{"code_identities": [] if is_on_step else [code]} for code in codes]
    return {"attempts": attempts, "code_identities": codes if is_on_step else []}


@given(st.lists(_FACTS, max_size=3), st.booleans())
def test_facts_are_read_back(facts: list[Facts], is_on_step: bool) -> None:
    """On each attempt, as in runnable, and for all of them on the step, as in magnus; also after the log was stored."""
    step = json.loads(json.dumps(step_with(*facts, is_on_step=is_on_step)))
    assert facts_of(step) == facts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '{"attributes": [], "annotations": 1, "events": {}, "error": {}}',
        '{"events": [1, [2], [1, 2, 3]]}',
        "[" * 100_000,
    ],
)
def test_odd_facts_are_none(text: str) -> None:
    """A damaged entry costs the facts, never the run."""
    step = {"attempts": [{"code_identities": [{"code_identifier_type": FACTS, "code_identifier": text}]}]}
    assert facts_of(step) == [Facts()]


def test_only_known_names_are_read() -> None:
    """A log cannot give a span any attribute: facts have our names, annotations never have them."""
    values = {
        "attributes": {semconv.HOST_NAME: "h", "rows": 1, semconv.ERROR_TYPE: "x", semconv.PROCESS_PID: 2**64},
        "annotations": {"rows": 1, semconv.TASK_RESULT: "success", "runlog.x": 1, "list": [1], "nested": {"a": 1}},
    }
    code = {"code_identifier_type": FACTS, "code_identifier": json.dumps(values)}
    assert facts_of({"attempts": [{"code_identities": [code]}]}) == [
        Facts(attributes={semconv.HOST_NAME: "h"}, annotations={"rows": 1})
    ]


@given(
    st.lists(
        st.builds(
            Ending,
            st.integers(1, 9),
            st.text(max_size=4),
            st.integers(0),
            st.text(),
            st.text(),
            st.lists(st.text()).map(tuple),
        )
    )
)
def test_endings_are_read_back(endings: list[Ending]) -> None:
    """From the wrapper's entry in the run config."""
    entry = json.loads(json.dumps({"endings": list(map(ending_entry, endings))}))
    assert run_facts(entry)["endings"] == tuple(endings)


@pytest.mark.parametrize("value", [1, "x", [], [1], {"endings": 1}, {"endings": [{"a": 1}, {"execution": "x"}]}])
def test_an_odd_entry_is_no_fact(value: Any) -> None:
    """Whatever stands in the run config."""
    entry = value if isinstance(value, dict) else dict.fromkeys(("pipeline", "facts", "parent", "endings"), value)
    facts = run_facts(entry)
    assert (facts["facts"], facts["is_child"], facts["endings"]) == ({}, False, ())
