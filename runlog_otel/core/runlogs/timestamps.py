"""Start and end of attempts: the hosts write naive local times, and each process notes its own UTC offsets.

The note is a `CodeIdentity`, the one part of a log that the hosts leave open to additions: runnable has it on the
attempt, magnus on the step. It also holds the number of the execution, so that no clock decides it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from runlog_otel.core.model import Header

Document = Mapping[str, Any]

NOTE = "runlog_otel.attempt"
"""The type of the code identity that holds an attempt's note."""
MAX_EXECUTIONS = 10_000
"""A note with a higher number is ignored."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
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


class TimestampParser:
    """Reads the hosts' times (`str(datetime.now())`: naive and local) as nanoseconds since the epoch.

    Args:
        header: the run's; its UTC offset applies to attempts without a note.
        zone: the zone of times without either; by default the machine's.
    """

    def __init__(self, header: Header | None = None, zone: tzinfo | None = None) -> None:
        offset = header.utc_offset_seconds if header else None
        self._zone = zone if offset is None else timezone(timedelta(seconds=offset))

    def __call__(self, text: Any, offset_seconds: int | None = None) -> int | None:
        """Nanoseconds since the epoch; None for an empty text or no valid time."""
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                zone = self._zone if offset_seconds is None else timezone(timedelta(seconds=offset_seconds))
                moment = moment.replace(tzinfo=zone) if zone else moment.astimezone()
            return nanoseconds(moment)
        except (TypeError, ValueError, OverflowError):
            return None


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
    attempts = step.get("attempts") or ()
    on_step = dict(map(_note, _identities(step)))
    own = (next(iter(_identities(attempt)), None) for attempt in attempts)
    return [_note(identity)[1] if identity else on_step.get(index, AttemptNote()) for index, identity in enumerate(own)]


def times_of_attempts(step: Document, clock: TimestampParser) -> list[tuple[int | None, int | None]]:
    """Start and end of each of a step's attempts, in nanoseconds since the epoch."""
    pairs = zip(step.get("attempts") or (), notes_of(step), strict=True)
    return [_times(attempt, note, clock) for attempt, note in pairs]


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since the epoch of an aware time."""
    since = moment - _EPOCH
    return ((since.days * _DAY_SECONDS + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _times(attempt: Document, note: AttemptNote, clock: TimestampParser) -> tuple[int | None, int | None]:
    start_ns = clock(attempt.get("start_time", ""), note.start_offset_seconds)
    end_ns = clock(attempt.get("end_time", ""), note.end_offset_seconds)
    duration = _DURATION.fullmatch(str(attempt.get("duration") or ""))
    if start_ns is not None and end_ns is None and duration:
        days, hours, minutes, seconds = (float(part or 0) for part in duration.groups())
        end_ns = start_ns + round(((days * 24 + hours) * 60 + minutes) * 60_000_000 + seconds * 1_000_000) * 1000
    return start_ns, end_ns


def _identities(part: Document) -> list[Document]:
    """The notes among the code identities of a step or an attempt."""
    return [code for code in part.get("code_identities") or () if code.get("code_identifier_type") == NOTE]


def _note(identity: Document) -> tuple[int, AttemptNote]:
    """The index of an attempt and its note; an empty note if it cannot be parsed."""
    values = {name: int(value) for name, value in _PAIR.findall(str(identity.get("code_identifier") or ""))}
    execution = values.get("execution", 0)
    offsets = (values.get(name, _DAY_SECONDS) for name in ("start_offset", "end_offset"))
    start, end = (offset if abs(offset) < _DAY_SECONDS else None for offset in offsets)
    return values.get("attempt", 0), AttemptNote(execution if 0 < execution <= MAX_EXECUTIONS else None, start, end)
