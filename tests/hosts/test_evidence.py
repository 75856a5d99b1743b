"""The log says why an attempt failed, in whatever process, and nothing else is different for it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from runnable import get_stream_queue

from runlog_otel.core.failure import failure_from_message
from runlog_otel.core.redaction import redacted
from runlog_otel.core.trace import AttemptContext
from runlog_otel.hosts.runnable.step_tracker import READ_BYTES, FailureCapture
from runlog_otel.live.attempt_context import AttemptScope
from tests.hosts.project import CONFIG, EMULATOR, LOCAL, PARALLEL, Project, RunLog

BARE = "Call to the function hostile.fail did not succeed.\n"
EXECUTORS = {"local": LOCAL, "parallel": PARALLEL, "emulator": EMULATOR}


def project(folder: Path, executor: Mapping[str, Any] = LOCAL, **telemetry: Any) -> Project:
    """A project that sends to a file."""
    return Project(folder, "chunked-fs", executor, {"endpoint": f"file://{folder}/spans.jsonl", **telemetry})


def last_message(log: RunLog, step: str) -> str:
    """The message of the last attempt at a step."""
    steps = {**log["steps"], "job": log.get("job")}
    return str(steps[step]["attempts"][-1]["message"])


@pytest.mark.parametrize(
    ("pipeline", "step", "kind", "message", "line"),
    [
        ("failing_python", "explode", "ValueError", "no more rows", 'raise ValueError("no more rows")'),
        ("failing_notebook", "read", "LookupError", "no page in the notebook", "raise LookupError("),
        ("failing_shell", "lift off", "exit_3", "exit status 3", ""),
        ("job", "job", "ValueError", "not today", 'raise ValueError("not today")'),
    ],
)
@pytest.mark.parametrize("executor", [LOCAL, EMULATOR], ids=["local", "emulator"])
def test_a_failed_attempt_says_why(  # noqa: PLR0917 the parameters are the cases
    tmp_path: Path, executor: Mapping[str, Any], pipeline: str, step: str, kind: str, message: str, line: str
) -> None:
    """Type, message and traceback of an exception, the status of a program."""
    here = project(tmp_path, executor)
    here.run(pipeline, "r", JOB_FAILS="1")
    found = failure_from_message(last_message(here.log("r"), step))
    assert (found.type, found.message) == (kind, message)
    assert line in found.stacktrace
    assert "runnable/tasks.py" not in found.stacktrace


@pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)
def test_a_failed_iteration_says_why(tmp_path: Path, executor: Mapping[str, Any]) -> None:
    """In the process of a pool too."""
    here = project(tmp_path, executor)
    here.run("regions", "r", REGIONS="north,broken")
    step = here.log("r")["steps"]["each region"]["branches"]["each region.broken"]["steps"]["each region.broken.clean"]
    found = failure_from_message(step["attempts"][0]["message"])
    assert (found.type, found.message) == ("ValueError", "no such region")


def test_evidence_can_be_turned_off(tmp_path: Path) -> None:
    """The log then says what the host says."""
    here = project(tmp_path, failure_evidence=False)
    here.run("hostile", "r", HOSTILE="hook")
    assert last_message(here.log("r"), "hard") == BARE


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ""),
        (b"", ""),
        (b"broken \xff\xfe bytes", "broken \ufffd\ufffd bytes"),
        (b"x\n" * 50_000_000, "x\n" * (READ_BYTES // 2 - 1)),
    ],
    ids=["deleted", "empty", "broken", "100 MB"],
)
def test_of_an_execution_log_the_end_is_read_if_it_is_there(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    """A little more of it than is told, whatever is in it."""
    entered = AttemptScope(AttemptContext("r", "step", b"t" * 16, b"s" * 8))
    inside = FailureCapture(entered, 1, redacted, has_evidence=True)
    path = tmp_path / "stepXYZ.execution.log"
    if content is not None:
        path.write_bytes(content)
    inside.log_saved(path)
    inside.leave()
    assert inside.log == expected
    assert get_stream_queue() is None


def end(folder: Path, telemetry: dict[str, Any] | None, how: str) -> tuple[int, str, Any]:
    """How a hostile run ends: status, last words, and its log but for messages and times."""
    here = Project(folder, "file-system", LOCAL, telemetry)
    config = json.loads((folder / CONFIG).read_text())
    store = config["run-log-store"]["config"]
    store.get("inner", {}).get("config", store)["log_folder"] = f"{folder}/.run_log_store"
    here.write_config(config)
    done = here.run("hostile", "r", HOSTILE=how)
    logs = [json.loads(path.read_text()) for path in (folder / ".run_log_store").glob("*.json")]
    steps = {name: (step["status"], len(step["attempts"])) for log in logs for name, step in log["steps"].items()}
    words = re.sub(r"'hard\w+\.", "'", done.output.replace(str(folder), "").strip().splitlines()[-1])
    return done.returncode, words, steps


@pytest.mark.parametrize(
    ("how", "first_line"),
    [
        ("hook", "ValueError: no more rows"),
        ("flood", "ValueError: no more rows"),
        ("surrogates", ""),
        ("elsewhere", "ValueError: no more rows"),
        ("nowhere", ""),
        ("silent", "ValueError: no more rows"),
        ("unprintable", "hostile.UnprintableError"),
        ("bytes", "UnicodeDecodeError: "),
        ("killed", "killed by signal 9"),
        ("noise", "exit status 4"),
        ("silence", "exit status 5"),
    ],
)
def test_a_step_that_makes_it_hard_changes_nothing_else(tmp_path: Path, how: str, first_line: str) -> None:
    """The run ends as it does without the wrapper; where the host itself breaks, no attempt is recorded."""
    for name in ("plain", "wrapped"):
        (tmp_path / name).mkdir()
    plain = end(tmp_path / "plain", None, how)
    telemetry = {"endpoint": f"file://{tmp_path}/spans.jsonl", "exit_budget_seconds": 60.0}
    wrapped = end(tmp_path / "wrapped", telemetry, how)
    assert wrapped == plain
    log = json.loads((tmp_path / "wrapped" / ".run_log_store" / "r.json").read_text())
    messages = [attempt["message"] for attempt in log["steps"]["hard"]["attempts"]]
    assert [message.splitlines()[0].startswith(first_line) for message in messages] == [True] * bool(first_line)
    if how == "noise":
        assert messages[0].endswith("a line of noise\nthe last words")
