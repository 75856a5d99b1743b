"""`runlog-otel show --follow` of runs that have ended, and of what is not there; e2e/test_follow.py has live runs."""

import json
import os
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS


@pytest.mark.parametrize(
    ("log", "result", "status"),
    [("demo", "success", 0), ("cancelled", "cancellation", 1), ("retried", "success", 0), ("magnus-killed", "", 1)],
)
def test_the_exit_status_is_that_of_the_run(quick: Command, project: Path, log: str, result: str, status: int) -> None:
    """0 only if it succeeded; what was killed long ago counts as abandoned."""
    path = project / ".run_log_store" / "it.json"
    path.write_text(json.dumps(json.loads((GOLDEN / f"{log}.log.json").read_text()) | {"run_id": "it"}))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    called = quick("show", "--follow", "it", "--source", ".run_log_store")
    first = called.out.splitlines()[0]
    assert (called.status, called.err) == (status, "")
    assert (f"{result} in " in first) if result else ("it counts as abandoned" in called.out)
    assert "\x1b" not in called.out


def test_the_newest_run_is_followed_by_default(quick: Command, project: Path) -> None:
    """Its id is said; so is that it has ended."""
    os.utime(project / ".run_log_store" / f"{RUNS['job']}.json", (4_000_000_000, 4_000_000_000))
    for arguments in ((), ("latest",)):
        called = quick("show", "--follow", *arguments)
        assert (called.status, called.err) == (0, f"no run is in progress; {RUNS['job']} is the newest\n")
        assert called.out.startswith(f"{RUNS['job']}  ")
    assert quick("show").out == quick("show", RUNS["job"]).out


def test_a_log_in_a_file_is_followed(quick: Command) -> None:
    """Without a store."""
    called = quick("show", "--follow", str(GOLDEN / "demo.log.json"))
    assert called.status == 0
    assert called.out.splitlines()[0] == f"{RUNS['demo']}  pipeline.main  success in 1.32s"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nope",), "error: run 'nope' is not in file-system store .run_log_store"),
        (("latest", "--source", "empty"), "error: run 'latest' is not in "),
        (("x" * 5_000,), "error: "),
        (("../x",), "error: "),
        (("nope", "--interval", "often"), "error: --interval: 'often' is not an age"),
        (("nope", "--interval", "0s"), "error: --interval: must be at least 1s"),
        (("nope", "--abandoned-after", "0s"), "error: --abandoned-after: must be at least 1s"),
    ],
)
def test_what_cannot_be_followed_is_said_in_one_line(
    quick: Command, project: Path, arguments: tuple[str, ...], expected: str
) -> None:
    """With exit status 2."""
    (project / "empty").mkdir()
    called = quick("show", "--follow", *arguments)
    assert (called.status, called.out, called.err.count("\n")) == (2, "", 1)
    assert called.err.startswith(expected)
