"""How pages write durations, times, sizes and numbers. Pure, and the same in every time zone and language."""

from datetime import datetime, timedelta, timezone
from typing import Any

_MILLISECOND, _SECOND = 10**6, 10**9
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NO_VALUE = ""
_WHOLE_SECONDS = 100 * _SECOND
_MANY = 100_000


def duration(ns: int | None) -> str:
    """A duration in nanoseconds, in two units at most: `18 µs`, `134 ms`, `1.50 s`, `2 min 05 s`, `2 d 04 h`."""
    if ns is None:
        return _NO_VALUE
    return _in_one_unit(ns) if ns < _WHOLE_SECONDS else _in_two_units(round(ns / 1e9))


def seconds(value: float | None) -> str:
    """A duration in seconds, as `duration` writes it."""
    return _NO_VALUE if value is None else duration(round(value * 1e9))


def moment(ns: int | None, utc_offset_seconds: int | None = None) -> str:
    """A time in nanoseconds since the epoch, with its zone: `28 Nov 2026 00:58:05 +01:00`, without an offset in UTC."""
    at = _datetime(ns, utc_offset_seconds)
    if ns is None or at is None:
        return _NO_VALUE if ns is None else f"{ns} ns"
    zone = at.strftime("%z") if utc_offset_seconds else ""
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} " + (f"{zone[:3]}:{zone[3:5]}" if zone else "UTC")


def iso(ns: int | None, utc_offset_seconds: int | None = None) -> str:
    """The same time for the attribute `datetime`, as ISO 8601 has it; empty outside of the calendar."""
    at = _datetime(ns, utc_offset_seconds)
    return at.isoformat(timespec="milliseconds") if at else _NO_VALUE


def size(number: float | None) -> str:
    """A number of bytes: `812 B`, `84 MiB`, `1.2 GiB`."""
    if number is None:
        return _NO_VALUE
    power = 0
    while number >= 1000 and power < len(_SIZES) - 1:  # noqa: PLR2004
        number, power = number / 1024, power + 1
    return f"{number:.1f} {_SIZES[power]}" if power and number < 10 else f"{number:.0f} {_SIZES[power]}"  # noqa: PLR2004


def count(number: int) -> str:
    """A whole number with its thousands apart: `12,408`."""
    return f"{number:,}"


def number(value: Any) -> str:
    """What somebody measured: a number in at most six digits, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if _MANY <= abs(value) < 1e15 else f"{value:.6g}"  # noqa: PLR2004


def short(text: str, characters: int = 120) -> str:
    """The beginning of a text, where the whole of it would hide everything else."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _in_one_unit(ns: int) -> str:
    if ns <= 0:
        return "0 ms"
    if ns < _MILLISECOND:
        return f"{max(1, round(ns / 1e3))} µs"
    if ns < _SECOND:
        return f"{ns / 1e6:.{0 if ns >= 10 * _MILLISECOND else 1}f} ms"
    return f"{ns / 1e9:.{1 if ns >= 10 * _SECOND else 2}f} s"


def _in_two_units(whole: int) -> str:
    for unit, small, name, small_name in ((_DAY, _HOUR, "d", "h"), (_HOUR, _MINUTE, "h", "min")):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // small:02} {small_name}"
    return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _datetime(ns: int | None, utc_offset_seconds: int | None) -> datetime | None:
    if ns is None:
        return None
    try:
        zone = timezone(timedelta(seconds=utc_offset_seconds or 0))
        return (_EPOCH + timedelta(microseconds=ns // 1000)).astimezone(zone)
    except (OverflowError, ValueError):
        return None
