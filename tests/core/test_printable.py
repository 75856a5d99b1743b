"""Text from elsewhere, in a form that a terminal or a log line can show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.errors import ConfigError, MissingExtraError, RunNotFoundError
from runlog_otel.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("load [orders]", "load [orders]"),
        ("日本語 ☃ é \u00a0\u3000|", "日本語 ☃ é \u00a0\u3000|"),
        ("C:\\new", "C:\\new"),
        ("a\r\n\tb", "a\\r\\n\\tb"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m\x7f\x85", "\\x9b31m\\x7f\\x85"),
        ("a\u202eb\u2066c\u2069\u200e\u200f\u061c", "a\\u202eb\\u2066c\\u2069\\u200e\\u200f\\u061c"),
        ("\ufeffa\u200bb\u200d\u2060", "\\ufeffa\\u200bb\\u200d\\u2060"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_has_no_shape_of_its_own_is_escaped(text: str, shown: str) -> None:
    """Letters of any script, spaces and brackets stay."""
    assert printable(text) == shown


def test_lines_are_kept_where_they_are_wanted() -> None:
    """Only the newline: a carriage return would hide the line before it."""
    assert printable("a\nb\r\x1bc\n", keeps_lines=True) == "a\nb\\r\\x1bc\n"


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_printable_can_be_written_and_stays_as_it_is(text: str) -> None:
    """Whatever it was, it is one line of UTF-8, and escaping it again changes nothing."""
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert not set(map(ord, shown)) & {*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E}
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ConfigError("a\x1b[31m", "b\nerror: forged"), "a\\x1b[31m: b\\nerror: forged"),
        (
            MissingExtraError("x\u202e", "y"),
            "x\\u202e needs a library that is not installed: pip install 'runlog-otel[y]'",
        ),
        (
            RunNotFoundError("\udcff", "s\r"),
            "run '\\udcff' is not in s\\r; `runlog-otel check` shows which store the config names",
        ),
    ],
)
def test_an_error_of_ours_is_one_line(error: Exception, shown: str) -> None:
    """Whatever it quotes, and wherever it is printed or logged."""
    assert str(error) == shown
