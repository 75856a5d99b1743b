"""Start and end of attempts: the hosts write naive local times, and each process notes its own UTC offsets.

The note is a `CodeIdentity`, the one part of a log that the hosts leave open to additions: runnable has it on the
attempt, magnus on the step. It also holds the number of the execution, so that no clock decides it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

from runlog_otel.core.model import Header

Document = Mapping[str, Any]

NOTE = "runlog_otel.attempt"
"""The type of the code identity that holds an attempt's note."""
MAX_EXECUTIONS = 10_000
"""A note with a higher number is ignored."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_DAY = timedelta(days=1)
_DAY_SECONDS = 86_400
_PAIR = re.compile(r"([a-z_]+)=(-?[0-9]{1,6})")
_DURATION = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""`str(timedelta)`, the format of magnus for the duration of an attempt."""


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """What only the process that recorded an attempt knows; None where nothing was noted."""

    execution: int | None = None
    start_offset_seconds: int | None = None
    end_offset_seconds: int | None = None


_NO_NOTE = AttemptNote()


class TimestampParser:
    """Reads the hosts' times (`str(datetime.now())`: naive and local) as nanoseconds since the epoch.

    Args:
        header: the run's; its UTC offset applies to attempts without a note.
        zone: the zone of times without either; by default the machine's.
    """

    def __init__(self, header: Header | None = None, zone: tzinfo | None = None) -> None:
        self._offset_seconds = header.utc_offset_seconds if header else None
        self._zone = zone
        # The epoch as local time, by UTC offset or by day; None for a day in which the offset changes.
        self._epochs: dict[int | date, datetime | None] = {}

    def parse(self, text: Any, offset_seconds: int | None = None) -> int | None:
        """Nanoseconds since the epoch; None for an empty text or no valid time."""
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return nanoseconds(moment)
            if offset_seconds is None:
                offset_seconds = self._offset_seconds
            key = moment.date() if offset_seconds is None else offset_seconds
            try:
                epoch = self._epochs[key]
            except KeyError:
                epoch = self._epochs[key] = self._local_epoch(moment, offset_seconds)
            return nanoseconds(self._in_zone(moment)) if epoch is None else _nanoseconds(moment - epoch)
        except (TypeError, ValueError, OverflowError):
            return None

    __call__ = parse  # 0.2 us more than the method

    def _local_epoch(self, moment: datetime, offset_seconds: int | None) -> datetime | None:
        """The epoch as local time, at the UTC offset or in the zone on this day. Keeping it: 2.0 -> 0.5 us a time.

        A day has the offset of its ends if these have one: no zone changes its offset twice within three days.
        """
        if offset_seconds is not None:
            return _NAIVE_EPOCH + timedelta(seconds=offset_seconds)
        start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            ends = [end.replace(fold=fold) for end in (start, start + _DAY) for fold in (0, 1)]
            epochs = {end - (self._in_zone(end) - _EPOCH) for end in ends}
        except (ValueError, OverflowError):  # the first and the last day that a datetime can have
            return None
        return epochs.pop() if len(epochs) == 1 else None

    def _in_zone(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=self._zone) if self._zone else moment.astimezone()


def code_from_note(note: AttemptNote, index: int | None = None) -> dict[str, Any]:
    """A note as a `CodeIdentity`.

    Args:
        note: the note.
        index: of the attempt, if the note is on its step.
    """
    values = {
        "attempt": index,
        "execution": note.execution,
        "start_offset": note.start_offset_seconds,
        "end_offset": note.end_offset_seconds,
    }
    return {
        "code_identifier_type": NOTE,
        "code_identifier": " ".join(f"{name}={value}" for name, value in values.items() if value is not None),
        "code_identifier_dependable": True,
        "code_identifier_message": "execution of the attempt; UTC offsets of its start and end, in seconds",
    }


def notes_of(step: Document) -> list[AttemptNote]:
    """The notes of a step's attempts, in order."""
    on_step = dict(map(note_from_identity, _notes(step)))
    own = map(_notes, step.get("attempts") or ())
    return [attempt_note(index, notes, on_step) for index, notes in enumerate(own)]


def attempt_note(index: int, own: list[Document], on_step: Mapping[int, AttemptNote]) -> AttemptNote:
    """The note of an attempt: the first of its own, else its step's for this index, else an empty one."""
    return note_from_identity(own[0])[1] if own else on_step.get(index, _NO_NOTE)


def note_from_identity(identity: Document) -> tuple[int, AttemptNote]:
    """The index of an attempt and its note; an empty note if it cannot be parsed."""
    return _note(str(identity.get("code_identifier") or ""))


def times_of_attempts(step: Document, clock: TimestampParser) -> list[tuple[int | None, int | None]]:
    """Start and end of each of a step's attempts, in nanoseconds since the epoch."""
    pairs = zip(step.get("attempts") or (), notes_of(step), strict=True)
    return [times_of_attempt(attempt, note, clock) for attempt, note in pairs]


def times_of_attempt(attempt: Document, note: AttemptNote, clock: TimestampParser) -> tuple[int | None, int | None]:
    """Start and end of an attempt, in nanoseconds since the epoch."""
    start_ns = clock.parse(attempt.get("start_time", ""), note.start_offset_seconds)
    end_ns = clock.parse(attempt.get("end_time", ""), note.end_offset_seconds)
    if start_ns is None or end_ns is not None:
        return start_ns, end_ns
    if duration := _DURATION.fullmatch(str(attempt.get("duration") or "")):
        days, hours, minutes, seconds = (float(part or 0) for part in duration.groups())
        end_ns = start_ns + round(((days * 24 + hours) * 60 + minutes) * 60_000_000 + seconds * 1_000_000) * 1000
    return start_ns, end_ns


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since the epoch of an aware time."""
    return _nanoseconds(moment - _EPOCH)


def _nanoseconds(duration: timedelta) -> int:
    return ((duration.days * _DAY_SECONDS + duration.seconds) * 1_000_000 + duration.microseconds) * 1_000


def _notes(part: Document) -> list[Document]:
    """The notes among the code identities of a step or an attempt."""
    return [code for code in part.get("code_identities") or () if code.get("code_identifier_type") == NOTE]


@lru_cache(16)  # the attempts of a run have few different notes: 3.0 -> 0.1 us each
def _note(text: str) -> tuple[int, AttemptNote]:
    values = {name: int(value) for name, value in _PAIR.findall(text)}
    execution = values.get("execution", 0)
    offsets = (values.get(name, _DAY_SECONDS) for name in ("start_offset", "end_offset"))
    start, end = (offset if abs(offset) < _DAY_SECONDS else None for offset in offsets)
    return values.get("attempt", 0), AttemptNote(execution if 0 < execution <= MAX_EXECUTIONS else None, start, end)
