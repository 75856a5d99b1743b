"""What is printed: text as it is, never as markup; strict JSON."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from runlog_otel.cli.output import strict
from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS

EVIL = "[/a] [bold]b[/bold] :smile: \x1b[31mred\r\u202e\ufeff\udcff"
SHOWN = "[/a] [bold]b[/bold] :smile: \\x1b[31mred\\r\\u202e\\ufeff\\udcff"
SENT = SHOWN.replace("\\udcff", "?")
"""Spans hold what UTF-8 can say."""


def odd_names(project: Path) -> None:
    """Put a run into the store whose every name is evil, but for its id."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    step = next(iter(log["steps"].values()))
    step["name"] = EVIL
    step["attempts"][0]["message"] = f"{EVIL}\nsecond line {EVIL}"
    log |= {"run_id": "odd", "tag": EVIL}
    log["run_config"]["pipeline_definition_file"] = f"{EVIL}.py"
    (project / ".run_log_store" / "odd.json").write_text(json.dumps(log))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("show", "odd"), [f"odd {SHOWN}.py 1.32s success", SENT[:30]]),
        (("runs",), [f"odd SUCCESS {SHOWN}.py {SHOWN}"]),
        (("audit", "odd"), ['span "RUN [/a] [bold]b[/bold] :smile: \\u001b[31mred\\r\\u202e\\ufeff?.py"']),
    ],
)
def test_names_are_no_markup_and_no_commands_to_a_terminal(
    quick: Command, project: Path, arguments: tuple[str, ...], shown: list[str]
) -> None:
    """Brackets and colons stay; what is not visible is shown escaped."""
    odd_names(project)
    called = quick(*arguments)
    lines = [" ".join(line.split()) for line in called.out.splitlines()]
    assert (called.status, called.err) == (0, "")
    assert [any(line.startswith(start) for line in lines) for start in shown] == [True] * len(shown)
    assert called.out.replace("\n", "").replace("\u3000", "").isprintable()


def test_settings_are_no_markup(quick: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value with brackets is shown as it is, and so is what it leads to."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "[/x] [bold]s \x1b[31m")
    assert "[/x] [bold]s \\x1b[31m" in quick("check").out


def test_an_error_quotes_no_commands_to_a_terminal(quick: Command) -> None:
    """Of the call, too."""
    assert quick("show", "\x1b[2K[/x]\u202e").err == (
        "error: run '\\x1b[2K[/x]\\u202e' is not in file-system store .run_log_store; "
        "`runlog-otel check` shows which store the config names\n"
    )
    assert quick("sh\x1b[2Kow").err.count("\x1b") == 0


def test_wide_characters_keep_the_columns(quick: Command, project: Path) -> None:
    """A bar starts at the same cell in every line."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    next(iter(log["steps"].values()))["name"] = "注文を読み込む"
    (project / ".run_log_store" / "wide.json").write_text(json.dumps(log | {"run_id": "wide"}))
    lines = [line for line in quick("show", "wide").out.splitlines() if line.endswith("success")][1:]
    assert lines[1].startswith("  注文を読み込む  ")
    assert {cell_len(line) for line in lines} == {cell_len(lines[0])}


def test_bars_are_drawn_in_any_encoding(project: Path) -> None:
    """Where the terminal has no blocks, they are of ASCII."""
    done = subprocess.run(
        [sys.executable, "-m", "runlog_otel", "show", RUNS["job"]],
        cwd=project,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr, b"###" in done.stdout, done.stdout.isascii()) == (0, b"", True, True)


def test_json_says_where_a_number_was_no_number(quick: Command, project: Path) -> None:
    """Null, and a note with the path; NaN is no JSON."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    log["steps"]["load orders"]["attempts"][0]["user_defined_metrics"]["orders"]["value"] = math.nan
    log["parameters"]["orders"]["value"] = math.nan
    (project / ".run_log_store" / "nan.json").write_text(json.dumps(log | {"run_id": "nan", "tag": "t\udcff"}))
    listed = json.loads(quick("runs", "nan", "--json").out, parse_constant=pytest.fail)
    assert (listed["runs"][0]["tag"], listed["notes"]) == (
        "t\\udcff",
        ["/runs/0/tag has a lone surrogate, which is shown escaped"],
    )
    (column,) = json.loads(quick("runs", "nan", "--compare", "--json").out, parse_constant=pytest.fail)
    assert (column["metrics"]["orders"], column["notes"]) == (
        None,
        ["/metrics/orders is nan, which JSON cannot represent"],
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abc"), VALUES))
def test_any_document_is_strict_json(document: dict[str, Any]) -> None:
    """It is read back as it was printed, by a parser that takes no NaN; without oddities it is what it was."""
    clean = strict(document)
    text = json.dumps(clean, allow_nan=False, ensure_ascii=False).encode().decode()
    assert json.loads(text, parse_constant=pytest.fail) == clean
    assert ("notes" in clean) or clean == document


def test_a_note_has_a_path_to_each_oddity() -> None:
    """Of a list each object has notes of its own."""
    assert strict([{"a": [1.5, math.inf], "b": {"c": -math.inf}}, {"d": 1}]) == [
        {
            "a": [1.5, None],
            "b": {"c": None},
            "notes": ["/a/1 is inf, which JSON cannot represent", "/b/c is -inf, which JSON cannot represent"],
        },
        {"d": 1},
    ]
