"""Naive local times are read with the UTC offsets that their own process noted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.model import Header
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.runlogs.timestamps import (
    AttemptNote,
    TimestampParser,
    code_from_note,
    notes_of,
    times_of_attempts,
)
from runlog_otel.stores.compare import compared
from runlog_otel.stores.entries import entries_from_document, times_of

_NOON = 1_782_043_200 * 10**9
"""2026-06-21 12:00:00 UTC."""
_OFFSETS = st.none() | st.integers(-86_399, 86_399)


def step_with(*notes: AttemptNote, is_on_step: bool = False) -> dict[str, Any]:
    """A step whose attempts last from noon to one o'clock, in whatever zones."""
    times = {"start_time": "2026-06-21 12:00:00", "end_time": "2026-06-21 13:00:00", "status": "SUCCESS"}
    codes = [code_from_note(note, index if is_on_step else None) for index, note in enumerate(notes)]
    attempts = [{**times, "code_identities": [] if is_on_step else [code]} for code in codes]
    step = {"name": "a", "internal_name": "a", "status": "SUCCESS", "step_type": "task", "attempts": attempts}
    return {**step, "code_identities": codes} if is_on_step else step


@given(st.lists(st.builds(AttemptNote, st.none() | st.integers(1, 10_000), _OFFSETS, _OFFSETS)), st.booleans())
def test_what_is_noted_is_read_back(notes: list[AttemptNote], is_on_step: bool) -> None:
    """On each attempt, as in runnable, and for all of them on the step, as in magnus."""
    assert notes_of(step_with(*notes, is_on_step=is_on_step)) == notes


@pytest.mark.parametrize(
    "text", ["", None, 5, "execution=0", "execution=99999", "start_offset=86400", "end_offset=one"]
)
def test_a_note_that_is_none_notes_nothing(text: object) -> None:
    """Anything may stand there, numbers that are too large among it."""
    code = {"code_identifier_type": "runlog_otel.attempt", "code_identifier": text}
    assert notes_of({"attempts": [{"code_identities": [code]}]}) == [AttemptNote()]


def test_start_and_end_are_read_with_offsets_of_their_own() -> None:
    """Summer time may end within an attempt; without a note the header's offset holds."""
    changed = AttemptNote(1, 7200, 3600)
    clock = TimestampParser(Header(created_ns=0, utc_offset_seconds=19_800))
    hour = 3600 * 10**9
    assert times_of_attempts(step_with(changed, AttemptNote()), clock) == [
        (_NOON - 2 * hour, _NOON),
        (_NOON - 5 * hour - hour // 2, _NOON - 4 * hour - hour // 2),
    ]


def test_spans_rows_and_comparisons_read_times_alike() -> None:
    """A run of Kolkata is listed with its true times, wherever it is copied to."""
    config = {"runlog_otel": {"created": "2026-06-21T12:00:00+05:30", "traceparent": ""}}
    step = step_with(AttemptNote(), AttemptNote(1, 0, 3600))
    log = {"run_id": "r", "status": "SUCCESS", "run_config": config, "steps": {"a": step}}
    (mapped,) = run_from_log(log).steps
    start, end = mapped.attempts[0].start_ns, mapped.attempts[1].end_ns
    (row,) = [entry for entry in entries_from_document(log) if entry.kind == "step"]
    assert (row.started_ns, row.ended_ns) == (start, end) == (_NOON - 19_800 * 10**9, _NOON)
    assert compared(log).durations_seconds == {"a": 19_800.0}
    assert mapped.attempts[0].code == ()


def test_a_row_written_live_is_read_by_the_notes_of_its_step() -> None:
    """The store sees the step alone, and no header."""
    assert times_of(step_with(AttemptNote(1, 0, 0))) == (_NOON, _NOON + 3600 * 10**9)
