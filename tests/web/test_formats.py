"""How pages write what they show."""

import pytest

from runlog_otel.web.formats import count, duration, iso, moment, number, seconds, short, size

_MINUTE = 60 * 10**9


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, ""),
        (0, "0 ms"),
        (1, "1 µs"),
        (18_400, "18 µs"),
        (1_234_000, "1.2 ms"),
        (134_400_000, "134 ms"),
        (1_500_000_000, "1.50 s"),
        (59_940_000_000, "59.9 s"),
        (2 * _MINUTE + 5 * 10**9, "2 min 05 s"),
        (190 * _MINUTE, "3 h 10 min"),
        (52 * 60 * _MINUTE, "2 d 04 h"),
    ],
)
def test_a_duration_has_two_units_at_most(ns: int | None, text: str) -> None:
    """And as many digits as one can use."""
    assert duration(ns) == text


def test_seconds_are_written_as_durations() -> None:
    """Medians come in seconds."""
    assert (seconds(None), seconds(1.5)) == ("", "1.50 s")


@pytest.mark.parametrize(
    ("ns", "offset", "text", "machine"),
    [
        (0, None, "1 Jan 1970 00:00:00 UTC", "1970-01-01T00:00:00.000+00:00"),
        (1_500_000_000, 3600, "1 Jan 1970 01:00:01 +01:00", "1970-01-01T01:00:01.500+01:00"),
        (0, -5400, "31 Dec 1969 22:30:00 -01:30", "1969-12-31T22:30:00.000-01:30"),
        (10**30, None, f"{10**30} ns", ""),
        (None, None, "", ""),
    ],
)
def test_a_time_has_its_zone(ns: int | None, offset: int | None, text: str, machine: str) -> None:
    """Not that of the machine that renders it."""
    assert (moment(ns, offset), iso(ns, offset)) == (text, machine)


def test_sizes_and_numbers_are_short() -> None:
    """A size in powers of 1024, a number with its thousands apart."""
    assert [size(value) for value in (None, 812, 117_440_512, 1_300_000_000)] == ["", "812 B", "112 MiB", "1.2 GiB"]
    assert [number(value) for value in (12408, 0.1234567, 1e-9, 1234567.8, True, "a")] == [
        *("12,408", "0.123457", "1e-09", "1,234,568", "True", "a"),
    ]
    assert (count(1234567), short("abc", 3), short("abcd", 3)) == ("1,234,567", "abc", "ab…")
