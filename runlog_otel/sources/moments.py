"""Ages and times as people write them: `30m`, `24h`, `7d`, or ISO 8601. Imports nothing heavy: every command has it."""

import re
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from runlog_otel.errors import ConfigError

MAX_AGE = timedelta(days=36_500)
"""Every clock, database and `threading.Event.wait` can handle this."""
_AGE = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_NS = 2**63 - 1
"""The latest moment that databases accept, in nanoseconds: in the year 2262."""


def age_from_text(text: str, option: str) -> timedelta | None:
    """An age as people write it (`30m`, `24h`, `7d`, `2w`); None if the text is not an age.

    Raises:
        ConfigError: it is longer than `MAX_AGE`.
    """
    parts = _AGE.fullmatch(text.strip())
    if parts is None:
        return None
    try:
        parsed = timedelta(**{_UNITS[parts[2]]: int(parts[1])})
    except (OverflowError, ValueError):  # too large for a timedelta, or too many digits for an int
        parsed = timedelta.max
    if parsed > MAX_AGE:
        raise ConfigError(option, f"must be at most {MAX_AGE.days}d")
    return parsed


def moment_ns(text: str, option: str) -> int | None:
    """Nanoseconds since the epoch of an age (`30m`) or an ISO time, local when it has no offset; None for "".

    Raises:
        ConfigError: it is neither.
    """
    if not text:
        return None
    if (age := age_from_text(text, option)) is not None:
        moment = datetime.now(timezone.utc) - age
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ConfigError(option, f"{text!r} is neither an age (30m, 24h, 7d, 2w) nor a time") from error
        with suppress(OverflowError, ValueError):  # the first and the last day of the calendar: in UTC
            moment = moment.astimezone()
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return max(-_MAX_NS, min(ns, _MAX_NS))
