"""The fingerprint of a failure is its type and the place in the user's own code, and nothing else."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core.failure import (
    STACKTRACE_BYTES,
    failure_from_message,
    message_from_exception,
    message_from_exit,
    message_from_log,
)
from runlog_otel.core.fingerprint import Fingerprint, Frame, fingerprint_of, own_frame
from tests.core.test_failure import DRAWN

FOLDERS = st.lists(st.text("abcXYZ_ -.é", min_size=1, max_size=8), max_size=5)
LINES = st.lists(st.integers(1, 10**6), min_size=3, max_size=3)
NAMES = st.from_regex(r"\A[a-z_][a-z0-9_]{0,12}\Z")
MESSAGES = st.text(st.characters(codec="utf-8"), max_size=300)
LIBRARY = "/opt/venv/lib/python3.12/site-packages"
REMOTE = """the worker failed:
Traceback (most recent call last):
  File "fake.py", line 1, in fake
KeyError: 1

During handling of the above exception, another exception occurred:
  File "other.py", line 2, in other"""


def traced(frames: list[tuple[str, int, str]], last: str) -> str:
    """A traceback as Python writes it."""
    lines = [f'  File "{path}", line {number}, in {function}\n    work()\n' for path, number, function in frames]
    return f"Traceback (most recent call last):\n{''.join(lines)}{last}"


def failed(kind: str, message: str, stack: str, step: str = "publish") -> Fingerprint:
    """The fingerprint of the failure that a log's text tells."""
    head = f"{kind}: {message}" if message else kind
    return fingerprint_of(failure_from_message(f"{head}\n\n{stack}", limit=STACKTRACE_BYTES), step)


@given(st.lists(st.tuples(FOLDERS, LINES, MESSAGES), min_size=2, max_size=2), NAMES)
def test_lines_messages_and_folders_are_no_part_of_it(runs: list[tuple[list[str], list[int], str]], step: str) -> None:
    """Moved to another folder, edited above the place, and with other words, it is the same failure."""
    fingerprints = set()
    for parts, numbers, message in runs:
        said = message.strip()
        where = "/".join(["", *parts])
        frames = [
            (f"{where}/pipeline.py", numbers[0], "publish"),
            (f"{where}/upload.py", numbers[1], "send"),
            (f"{LIBRARY}/requests/sessions.py", numbers[2], "request"),
        ]
        fingerprints.add(failed("ConnectionError", said, traced(frames, f"ConnectionError: {said}"), step))
    assert fingerprints == {Fingerprint("ConnectionError", "upload.py", "send")}


@given(NAMES, NAMES)
def test_another_type_or_function_is_another_failure(function: str, kind: str) -> None:
    """Two failures in one function differ by type, two of one type by function."""
    frames = [("/p/pipeline.py", 3, function)]
    own = failed(f"{kind}Error", "x", traced(frames, f"{kind}Error: x"))
    assert own.id != failed(f"{kind}Error2", "x", traced(frames, f"{kind}Error2: x")).id
    assert own.id != failed(f"{kind}Error", "x", traced([("/p/pipeline.py", 3, f"{function}_")], f"{kind}Error: x")).id


@pytest.mark.parametrize("message", [REMOTE, f"\n{REMOTE}", "x" * 5000 + REMOTE])
def test_a_traceback_in_a_message_is_no_place(message: str) -> None:
    """Workers put tracebacks of others into their messages."""

    def work() -> None:
        raise RuntimeError(message)

    with pytest.raises(RuntimeError) as raised:
        work()
    text = message_from_exception(raised.value, raised.tb)
    assert fingerprint_of(failure_from_message(text, limit=STACKTRACE_BYTES)).function == "work"


def test_the_innermost_own_frame_counts_below_and_above_libraries() -> None:
    """A library that calls back is passed over on both sides."""
    frames = [
        ("/p/pipeline.py", 1, "main"),
        (f"{LIBRARY}/pandas/frame.py", 2, "apply"),
        ("/p/rows.py", 3, "clean"),
        ("/usr/lib/python3.12/json/decoder.py", 4, "decode"),
        ("<frozen importlib._bootstrap>", 5, "_find_and_load"),
        ("<string>", 6, "<module>"),
    ]
    assert own_frame(traced(frames, "ValueError: x")) == Frame("/p/rows.py", "clean")


def test_an_installed_pipeline_is_the_users_own_code() -> None:
    """In an image the pipeline is a package beside the libraries: that of the outermost frame."""
    frames = [
        (f"{LIBRARY}/shop/steps.py", 1, "publish"),
        (f"{LIBRARY}/shop/upload.py", 2, "send"),
        (f"{LIBRARY}/requests/sessions.py", 3, "request"),
    ]
    assert own_frame(traced(frames, "ConnectionError: x")) == Frame(f"{LIBRARY}/shop/upload.py", "send")


@pytest.mark.parametrize(
    "path", [r"C:\work\rows.py", "/home/a/rows.py", "rows.py", "/venv/lib/python3.11/site-packages/shop/rows.py"]
)
def test_a_file_has_the_same_name_on_every_system(path: str) -> None:
    """Only its last part counts."""
    assert failed("KeyError", "'x'", traced([(path, 1, "clean")], "KeyError: 'x'")) == (
        "KeyError",
        "rows.py",
        "clean",
        "",
    )


def test_the_exception_raised_last_counts_in_a_chain() -> None:
    """What it was raised from is looked at only if it has no frame of the user's."""
    first = traced([("/p/a.py", 1, "first")], "KeyError: 'x'")
    link = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    own = first + link + traced([("/p/b.py", 2, "second")], "ValueError: x")
    foreign = first + link + traced([(f"{LIBRARY}/x/y.py", 2, "second")], "ValueError: x")
    assert failed("ValueError", "x", own).place == "b.py in second"
    assert failed("ValueError", "x", foreign).place == "a.py in first"


def test_a_comprehension_is_part_of_its_function() -> None:
    """Python 3.12 has no frames of comprehensions any more."""
    with_frame = [("/p/a.py", 1, "load"), ("/p/a.py", 1, "<listcomp>")]
    assert failed("KeyError", "1", traced(with_frame, "KeyError: 1")) == failed(
        "KeyError", "1", traced([("/p/a.py", 1, "load")], "KeyError: 1")
    )


def test_cells_of_notebooks_have_one_place() -> None:
    """Their files are named anew by each kernel."""
    first = [("/tmp/ipykernel_71/119.py", 2, "turn")]
    second = [("/tmp/ipykernel_9999/4711.py", 3, "turn")]
    assert failed("KeyError", "1", traced(first, "KeyError: 1")) == failed(
        "KeyError", "1", traced(second, "KeyError: 1")
    )


def test_a_drawn_traceback_has_a_place_too() -> None:
    """Where only the host's execution log is left."""
    drawn = failure_from_message(message_from_log(DRAWN), limit=STACKTRACE_BYTES)
    assert fingerprint_of(drawn) == Fingerprint("MyError", "p.py", "explode")


def test_without_a_traceback_the_step_counts() -> None:
    """A program's exit status and its step are all that is known."""
    one, two = (failure_from_message(message_from_exit(3, said)) for said in ("cp: no such file", "disk full"))
    assert fingerprint_of(one, "copy") == fingerprint_of(two, "copy") == Fingerprint("exit_3", step="copy")
    assert fingerprint_of(one, "copy").place == "step copy"
    assert fingerprint_of(one, "copy").id != fingerprint_of(one, "move").id


def test_the_id_does_not_depend_on_the_process() -> None:
    """Its digest is the same in every process, whatever the seed of hashes."""
    own = Fingerprint("ConnectionError", "upload.py", "send")
    program = f"from runlog_otel.core.fingerprint import Fingerprint; print(Fingerprint{tuple(own)!r}.id)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), own.id) == ("fdffc04a9a97e3a9",) * 2


def test_real_exceptions_have_their_place(tmp_path: Path) -> None:
    """What Python writes of a file in a folder is read: also a syntax error, which has no function."""
    (tmp_path / "broken.py").write_text("def f(:\n", encoding="utf-8")
    with pytest.raises(SyntaxError) as raised:
        compile((tmp_path / "broken.py").read_text(encoding="utf-8"), str(tmp_path / "broken.py"), "exec")
    text = "".join(traceback.format_exception(raised.value))
    assert own_frame(text) == Frame(str(tmp_path / "broken.py"), "<module>")
