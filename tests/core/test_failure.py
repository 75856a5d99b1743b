"""Why an attempt failed is written into its message for people, and read back from it."""

import io
import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runlog_otel.core import semconv
from runlog_otel.core.failure import (
    STACKTRACE_BYTES,
    Failure,
    failure_from_message,
    message_from_exception,
    message_from_exit,
    message_from_log,
    unfolded,
    without_parameters,
)
from runlog_otel.core.redaction import MASK, redacted

ANY_TEXT = st.text(st.characters(codec=None), max_size=3000)
LIMIT = semconv.MAX_ATTRIBUTE_BYTES
PARAMETERS = """\
[11:49:22] Parameters available for the execution:                  tasks.py:265
           {'key': JsonParameter(kind='json', value='canary')}      tasks.py:266
"""
DRAWN = """\
the step's own words
╭───────────────────── Traceback (most recent call last) ──────────────────────╮
│ /tmp/p.py:4 in inner                                                         │
│                                                                              │
│ ❱  4 │   raise KeyError("x")                                                 │
╰──────────────────────────────────────────────────────────────────────────────╯
KeyError: 'x'

The above exception was the direct cause of the following exception:

╭───────────────────── Traceback (most recent call last) ──────────────────────╮
│ /tmp/p.py:9 in explode                                                       │
│                                                                              │
│ ❱  9 │   raise MyError("first\\nsecond") from e                               │
╰──────────────────────────────────────────────────────────────────────────────╯
MyError: first
second

The above exception was the direct cause of the following exception:

╭───────────────────── Traceback (most recent call last) ──────────────────────╮
│ /site-packages/runnable/tasks.py:429 in execute_command                      │
╰──────────────────────────────────────────────────────────────────────────────╯
CommandCallError: Function call: p.explode did not succeed.

           Function call: p.explode did not succeed.                tasks.py:499

"""


class UnprintableError(Exception):
    """Cannot even be shown."""

    def __str__(self) -> str:
        raise ValueError("not in words")


def raised(make: Callable[[], BaseException]) -> BaseException:
    """An exception that was raised, and so has a traceback."""
    try:
        raise make()
    except BaseException as error:  # noqa: BLE001 whatever it is
        return error


def deep(depth: int) -> BaseException:
    """An exception from far below."""

    def dig(left: int) -> None:
        if left:
            (climb if left % 2 else dig)(left - 1)
        else:
            raise ValueError("the ground")

    def climb(left: int) -> None:
        dig(left)

    try:
        dig(depth)
    except ValueError as error:
        return error
    raise AssertionError


def message(error: BaseException) -> str:
    return message_from_exception(error, error.__traceback__)


def test_an_exception_is_told_for_people_first() -> None:
    """Type and message are the first line, the traceback follows after an empty one."""
    error = raised(lambda: ValueError("no more rows"))
    text = message(error)
    head, _, stack = text.partition("\n\n")
    assert head == "ValueError: no more rows"
    assert re.fullmatch(
        r'Traceback \(most recent call last\):\n  File ".*", line \d+, in raised\n    raise make\(\)\n(?: *\^+\n)?'
        "ValueError: no more rows",
        stack,
    )
    assert failure_from_message(text) == Failure("ValueError", "no more rows", stack, exception="ValueError")
    assert failure_from_message(text).description == "no more rows"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: KeyError("x"), "KeyError", "'x'"),
        (ValueError, "ValueError", ""),
        (lambda: ValueError("first\n\nsecond"), "ValueError", "first\n\nsecond"),
        (lambda: UnprintableError("x"), f"{__name__}.UnprintableError", ""),
        (lambda: OSError(2, "No such file"), "FileNotFoundError", "[Errno 2] No such file"),
        (lambda: ConnectionError("postgresql://me:pw@db/x"), "ConnectionError", f"postgresql://{MASK}@db/x"),
        (KeyboardInterrupt, "KeyboardInterrupt", ""),
        (lambda: ValueError("missing token:"), "ValueError", "missing token:"),
        (lambda: type("Ännlich", (Exception,), {"__module__": "mödule"})("é"), "mödule.Ännlich", "é"),
    ],
)
def test_type_and_message_of_an_exception_are_read_back(
    make: Callable[[], BaseException], kind: str, text: str
) -> None:
    """The name is the whole one, but for builtins; secrets are masked; what cannot be shown is left out."""
    found = failure_from_message(message(raised(make)))
    assert (found.type, found.message, found.exit_code) == (kind, text, None)
    assert found.stacktrace.startswith("Traceback (most recent call last):\n")


def test_the_causes_of_an_exception_are_in_its_stacktrace() -> None:
    """The type is that of the last one."""
    try:
        try:
            raise KeyError("x")
        except KeyError as cause:
            raise ValueError("y") from cause
    except ValueError as error:
        found = failure_from_message(message(error))
    assert (found.type, found.message) == ("ValueError", "y")
    assert "KeyError: 'x'\n\nThe above exception was the direct cause" in found.stacktrace


def test_the_innermost_frames_of_a_deep_traceback_are_kept() -> None:
    """What is cut is cut in whole lines, from the outside."""
    text = message(deep(300))
    stack = text.partition("\n\n")[2]
    assert STACKTRACE_BYTES - 200 < len(stack.encode()) <= STACKTRACE_BYTES
    for shown in (stack, failure_from_message(text).stacktrace):
        lines = shown.splitlines()
        assert lines[:2] == ["Traceback (most recent call last):", "  …"]
        assert lines[-2:] == ['    raise ValueError("the ground")', "ValueError: the ground"]
    assert LIMIT - 200 < len(failure_from_message(text).stacktrace.encode()) <= LIMIT


@given(ANY_TEXT)
def test_any_exception_fits_and_is_read_back_alike(text: str) -> None:
    """Whatever its words are, lone surrogates included: bounded, encodable, the same at each reading."""
    written = message(raised(lambda: ValueError(text)))
    assert len(written.encode()) <= LIMIT + STACKTRACE_BYTES + 100
    found = failure_from_message(written)
    assert found.type == "ValueError"
    assert all(len(part.encode()) <= LIMIT for part in (found.message, found.stacktrace))
    assert failure_from_message(f"{written}\n") == found


def test_a_huge_exception_is_told_by_its_beginning() -> None:
    """The frames are there all the same."""
    written = message(raised(lambda: ValueError("x " * 5_000_000)))
    assert len(written.encode()) <= LIMIT + STACKTRACE_BYTES + 100
    assert "in raised" in written


@pytest.mark.parametrize(
    ("status", "output", "expected", "failure"),
    [
        (3, "", "exit status 3", Failure("exit_3", "exit status 3", exit_code=3)),
        (
            1,
            "one\ntwo\n",
            "exit status 1\none\ntwo",
            Failure("exit_1", "exit status 1\none\ntwo", exit_code=1),
        ),
        (-9, "", "killed by signal 9", Failure("signal_9", "killed by signal 9")),
        (
            2,
            "password=hunter2",
            f"exit status 2\npassword={MASK}",
            Failure("exit_2", f"exit status 2\npassword={MASK}", exit_code=2),
        ),
    ],
)
def test_the_end_of_a_program_is_its_status_and_its_last_words(
    status: int, output: str, expected: str, failure: Failure
) -> None:
    """The type is low in cardinality."""
    assert message_from_exit(status, output) == expected
    assert failure_from_message(expected) == failure


@given(st.integers(-64, 255).filter(bool), ANY_TEXT, st.integers(0, 1))
def test_the_end_of_a_long_output_is_kept(status: int, text: str, times: int) -> None:
    """It fits into an attribute together with the status."""
    written = message_from_exit(status, f"{text * 10**times} the last words")
    assert len(written.encode()) <= LIMIT
    assert written.endswith("the last words")
    assert failure_from_message(written).message == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Call to the function pipeline.publish did not succeed.",
        "Note: this is no type\nTraceback (most recent call last):",
        "exit status 3rd",
        "my exit status 3",
    ],
)
def test_a_message_of_the_hosts_has_no_type(text: str) -> None:
    """It is told as it stands."""
    assert failure_from_message(f"{text}\n") == Failure(semconv.OTHER_ERROR, text)


@given(ANY_TEXT)
def test_any_message_is_read(text: str) -> None:
    """Whoever wrote it."""
    found = failure_from_message(text)
    assert all(len(part.encode()) <= LIMIT for part in (found.type, found.message, found.stacktrace))


def test_an_execution_log_tells_the_users_exception() -> None:
    """The last one that Rich drew, but for the host's own, with its frames."""
    assert message_from_log(PARAMETERS + DRAWN) == (
        "MyError: first\nsecond\n\nTraceback (most recent call last):\n/tmp/p.py:9 in explode\n\n"
        '❱  9 │   raise MyError("first\\nsecond") from e\nMyError: first\nsecond'
    )
    found = failure_from_message(message_from_log(DRAWN))
    assert (found.type, found.message) == ("MyError", "first\nsecond")


def test_an_execution_log_without_an_exception_tells_its_end() -> None:
    """And no parameter's value."""
    assert message_from_log(f"{PARAMETERS}one\ntwo\n") == "one\ntwo"
    assert message_from_log(PARAMETERS) == ""
    assert message_from_log(PARAMETERS.partition("\n")[2] + "one\n           two\n") == "one\n           two"


@given(st.lists(st.sampled_from([*DRAWN.splitlines(True), *PARAMETERS.splitlines(True), "\n", "token=x\n", "é\udcff"])))
def test_any_execution_log_is_read(lines: list[str]) -> None:
    """Cut, mixed up or broken."""
    text = "".join(lines)
    assert len(message_from_log(text).encode()) <= LIMIT + STACKTRACE_BYTES + 100
    assert len(without_parameters(text)) <= len(text)
    assert "token=x" not in message_from_log(text)


def test_parameters_are_taken_out_also_when_a_second_begins_before_their_values() -> None:
    """Rich writes the time before a line only if it is not that of the line before, which may be of another step."""
    blank = " " * len("[11:49:22]")
    texts = {
        PARAMETERS.replace("[11:49:22]", head).replace(f"{blank} {{'key'", f"{values} {{'key'")
        for head in ("[11:49:22]", blank)
        for values in ("[11:49:23]", blank)
    }
    assert len(texts) == 4
    assert {without_parameters(text + DRAWN) for text in texts} == {DRAWN}


def test_a_long_execution_log_is_read_in_time() -> None:
    """The end of a flood of the worst lines."""
    text = ("╰──╯\nValueError: x\n╭─\n" * 64 * 1024)[: 64 * 1024]
    assert message_from_log(text).startswith("ValueError: x")


def drawn(width: int, *parts: object) -> str:
    """What the host's console makes of texts and exceptions."""
    console = Console(file=io.StringIO(), width=width, record=True)
    console.log("Parameters available for the execution:")
    for part in parts:
        if isinstance(part, Exception):
            try:
                raise part
            except Exception:  # noqa: BLE001 whatever was given
                console.print_exception(show_locals=False)
        else:
            console.print(part)
    return console.export_text()


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_a_token_that_was_folded_is_masked_whole(width: int) -> None:
    """Where Rich broke it into lines: in plain text, after a traceback, in the box of a part of a group."""
    token = "eyJ" + ".".join(part * 40 for part in ("h3ad", "p4yl0ad", "s1gn4ture"))
    opaque = "Bearer " + "0paque" * 40
    parts: list[object] = [f"> Authorization: {opaque},", ValueError(f"401 for {token}")]
    if sys.version_info >= (3, 11):
        parts.append(ExceptionGroup("several", [ValueError(token), ValueError(f"it is {token}")]))  # noqa: F821
    text = redacted(unfolded(drawn(width, *parts), width))
    assert [piece for piece in ("h3ad", "p4yl0ad", "s1gn4ture", "0paque") if piece in text] == []


def test_what_was_not_folded_stays_as_it_is() -> None:
    """Boxes, source lines, and what the host logs in columns."""
    assert unfolded(PARAMETERS + DRAWN, 80) == PARAMETERS + DRAWN
