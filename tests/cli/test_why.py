"""`runlog-otel why`: the answer in the first line, then what it rests on."""

import json
import shutil
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import RUNS
from tests.core.test_first_cause import LOGS, with_canary

FAILURES = Path(__file__).parents[1] / "core" / "failures"
CANARY = "canary-4711-of-a-secret"
KEYS = [
    "headline",
    "state",
    "run",
    "url",
    "earlier",
    "cause",
    "aftermath",
    "survived_count",
    "survived",
    "seen",
    "flakiness",
    "changes",
    "timing",
    "history",
    "commands",
]


@pytest.fixture
def failures(tmp_path: Path) -> Path:
    """A folder with the recorded failures."""
    folder = tmp_path / "failures"
    folder.mkdir()
    for path in FAILURES.glob("*.log.json"):
        shutil.copy(path, folder / path.name.replace(".log", ""))
    return folder


def test_the_first_line_is_the_answer(quick: Command, failures: Path) -> None:
    """Then evidence, what followed, and what to call next."""
    called = quick("why", str(failures / "exception.json"))
    assert (called.status, called.err) == (0, "")
    lines = called.out.splitlines()
    assert lines[0] == (
        "publish failed: failures.RegistryError: the registry refuses the model: password=********; "
        "not seen before, in 3 other runs"
    )
    titles = [line[:14].strip() for line in lines[2:] if line[:14].strip()]
    assert titles == ["evidence", "followed", "read", "look further"]
    assert "              failures.RegistryError: the registry refuses the model: password=********" in lines
    assert "followed      never ran: report" in lines
    assert "look further  runlog-otel show amber-otter-0101" in lines


@pytest.mark.parametrize("name", sorted(LOGS))
def test_every_failure_is_answered(quick: Command, failures: Path, name: str) -> None:
    """With status 0, in lines without markup or control characters."""
    called = quick("why", str(failures / f"{name}.json"))
    assert (called.status, called.err) == (0, "")
    assert called.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", sorted(LOGS))
def test_json_is_nothing_but_json(quick: Command, failures: Path, name: str) -> None:
    """With the same keys for every run."""
    called = quick("why", str(failures / f"{name}.json"), "--json", "--history", "0")
    assert called.status == 0
    assert list(json.loads(called.out)) == KEYS


@pytest.mark.parametrize("name", sorted(LOGS))
def test_no_secret_is_printed(quick: Command, failures: Path, name: str) -> None:
    """Neither as text nor as JSON."""
    path = failures / f"{name}.json"
    path.write_text(json.dumps(with_canary(LOGS[name])), encoding="utf-8")
    for form in ((), ("--json",)):
        called = quick("why", str(path), *form)
        assert called.status == 0
        assert CANARY not in called.out + called.err


def test_a_run_that_succeeded_is_told_so(quick: Command) -> None:
    """With the failure that it survived."""
    called = quick("why", RUNS["demo"])
    assert called.status == 0
    assert called.out.startswith(
        "succeeded in 1.3 s; with no successful run before it, nothing is known to be usual; it "
    )
    assert "survived      publish, attempt 1: " in called.out


def test_latest_is_the_newest_run(quick: Command, project: Path) -> None:
    """That which was written last."""
    newest = project / ".run_log_store" / "newest.json"
    newest.write_text(json.dumps({**LOGS["shell"], "run_id": "newest"}), encoding="utf-8")
    assert quick("why", "latest").out.startswith("copy failed: exit status 3: cp: the disk is full; ")


def test_wrong_calls_are_errors(quick: Command) -> None:
    """Of one line, with the usual status."""
    unknown = quick("why", "nope")
    assert (unknown.status, unknown.out, len(unknown.err.splitlines())) == (2, "", 1)
    assert unknown.err.startswith("error: run 'nope' is not in file-system store .run_log_store")
    assert quick("why", RUNS["demo"], "--history", "-1").status == 2
    assert quick("why").status == 2


def test_credentials_of_a_source_are_not_repeated(quick: Command, failures: Path) -> None:
    """Commands to look further have the source without its password."""
    url = f"postgresql://somebody:{CANARY}@127.0.0.1:1/runs"
    called = quick("why", str(failures / "exception.json"), "--source", url)
    assert (called.status, called.err) == (0, "")
    assert "the history is not read to its end: " in called.out
    assert "--source 'postgresql://********@127.0.0.1:1/runs'" in called.out
    assert CANARY not in called.out


def test_a_hostile_log_prints_lines_only(quick: Command, failures: Path) -> None:
    """Names and messages with escape sequences, markup, other directions and very long texts."""
    odd = "\x1b[2K[/x]\u202e\u2028<script>\r" + "x" * 100_000
    text = (
        json.dumps(LOGS["pool"]).replace("work left", json.dumps(odd)[1:-1]).replace("is empty", json.dumps(odd)[1:-1])
    )
    (failures / "pool.json").write_text(text, encoding="utf-8")
    for form in ((), ("--json",)):
        called = quick("why", str(failures / "pool.json"), *form)
        assert (called.status, called.err) == (0, "")
        assert called.out.replace("\n", "").isprintable()
        assert len(called.out) < 60_000
