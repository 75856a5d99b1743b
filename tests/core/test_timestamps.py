"""Naive local times are read with the UTC offsets that their own process noted."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

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
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ZONES = (
    *("UTC", "Asia/Kathmandu", "Europe/Berlin", "Europe/Dublin", "America/St_Johns"),
    *("Australia/Lord_Howe", "Pacific/Apia", "Asia/Gaza", "America/Recife", "Africa/Casablanca", "America/Caracas"),
)
"""Zones with and without summer time; of half hours, at midnight, of a week, backwards, of a day that is left out."""
_ENDS = (datetime.min, datetime.max)  # noqa: DTZ901 as the hosts write it
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


def exact(moment: datetime, zone: tzinfo | None) -> int | None:
    """What a naive time means, without anything that was kept from the time before."""
    try:
        aware = moment.replace(tzinfo=zone) if zone else moment.astimezone()
        return (aware - _EPOCH) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError):
        return None


def days_of_change(zone: ZoneInfo) -> Iterator[datetime]:
    """The days from 2000 to 2029 that do not begin as they end."""
    for number in range(30 * 365):
        day = datetime(2000, 1, 1) + timedelta(days=number)  # noqa: DTZ001 as the hosts write it
        if zone.utcoffset(day) != zone.utcoffset(day + timedelta(days=1)):
            yield day


def assert_exact_around(days: Iterator[datetime], zone: tzinfo | None) -> None:
    """Each quarter of an hour of a day, of the one before and the one after, read by one parser."""
    clock = TimestampParser(zone=zone)
    for day in days:
        moments = [day + timedelta(minutes=15 * quarter) for quarter in range(-96, 192)]
        assert [clock(str(moment)) for moment in moments] == [exact(moment, zone) for moment in moments]


@pytest.mark.parametrize("name", _ZONES)
def test_a_day_on_which_the_offset_changes_is_read_exactly(name: str) -> None:
    """Also hours that occur twice, and those that do not occur."""
    assert_exact_around(days_of_change(ZoneInfo(name)), ZoneInfo(name))


@pytest.mark.parametrize("name", _ZONES)
def test_the_machine_s_zone_is_read_exactly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a zone that is configured."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", name)
        time.tzset()
        assert_exact_around(days_of_change(ZoneInfo(name)), None)
    time.tzset()


@given(st.sampled_from(_ZONES).map(ZoneInfo), st.lists(st.datetimes()))
def test_any_time_is_read_exactly(zone: ZoneInfo, moments: list[datetime]) -> None:
    """From the first day to the last, whatever was read before."""
    clock = TimestampParser(zone=zone)
    for moment in (*moments, *reversed(moments), *_ENDS):
        assert clock(str(moment)) == exact(moment, zone)
