"""Answers are marked as data, printable and bounded, whatever a log holds."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.mcp_server.documents import MAX_BYTES, NOTICE, Names, answer_of, text_of

_TEXTS = st.text(max_size=40) | st.text(max_size=40).map(lambda text: text * 100)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS
_ENTRIES = st.dictionaries(st.sampled_from(["name", "message", "stacktrace", "values"]), _SCALARS) | st.dictionaries(
    _TEXTS, _SCALARS, max_size=30
).map(Names)
_DATA = st.fixed_dictionaries(
    {"headline": _TEXTS, "steps": st.lists(_ENTRIES, max_size=30), "values": st.dictionaries(_TEXTS, _TEXTS).map(Names)}
)


def _size(answer: dict[str, Any]) -> int:
    return len(text_of(answer).encode())


@given(_DATA, st.integers(1, 40))
def test_every_answer_is_bounded_json_without_control_characters(data: dict[str, Any], times: int) -> None:
    """Whatever is in it."""
    answer = answer_of({**data, "steps": data["steps"] * times})
    assert _size(answer) <= MAX_BYTES
    assert json.loads(text_of(answer)) == answer
    assert answer["notice"] == NOTICE
    assert all(character.isprintable() or character in " \n" or character.isspace() for character in _texts(answer))


@given(st.integers(0, 700), st.integers(0, 3000))
def test_offsets_lead_to_every_entry_once(count: int, characters: int) -> None:
    """The lists of one answer continue in the next one."""
    entries = [{"number": number, "message": "x" * (characters if number % 7 == 0 else 1)} for number in range(count)]
    seen: list[int] = []
    offset: int | None = 0
    while offset is not None:
        answer = answer_of({"steps": entries}, offset=offset)
        assert _size(answer) <= MAX_BYTES
        seen += [entry["number"] for entry in answer["data"]["steps"]]
        offset = answer["next_offset"]
        assert bool(answer["cut"]) == (offset is not None)
    assert seen == list(range(count))


def test_what_is_cut_is_said_and_how_to_get_it() -> None:
    """A list of many, and a list inside of an entry."""
    many = {"steps": [{"n": n} for n in range(500)]}
    answer = answer_of(many, offset=0, rest="list_steps has them all")
    assert answer["cut"] == ["steps: 1 to 200 of 500", "call again with offset=200 for more", "list_steps has them all"]
    once = answer_of({"steps": many["steps"] * 20})
    assert (once["cut"], once["next_offset"]) == (["steps: entries are left out"], None)
    inner = answer_of({"cause": {"parts": ["x" * 400] * 100}}, rest="list_steps has them all")
    assert inner["cut"] == ["cause.parts: entries are left out", "list_steps has them all"]
    assert inner["next_offset"] is None
    named = answer_of({"values": Names({"obey me": ["x" * 400] * 100})})
    assert named["cut"] == ["values[]: entries are left out"]


def test_times_and_durations_are_readable() -> None:
    """Nanoseconds become UTC, or seconds; names from a log are not taken for fields."""
    data = {
        "start_ns": 1_795_243_116_500_000_000,
        "duration_ns": 1_500_000_000,
        "before_ns": None,
        "late_ns": 2**70,
        "values": Names({"x_ns": 1_500_000_000}),
        "odd": [float("nan"), float("inf")],
    }
    assert answer_of(data)["data"] == {
        "start": "2026-11-21T06:38:36.500Z",
        "duration_s": 1.5,
        "before": None,
        "late": f"{2**70} ns",
        "values": {"x_ns": 1_500_000_000},
        "odd": ["nan", "inf"],
    }


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_texts(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""
