"""Run logs of runnable, written as short as a test needs them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from runlog_otel.core.redaction import fingerprint_of
from runlog_otel.core.runlogs.header import code_from_marks, config_from_header

START = datetime(2026, 11, 21, 6, 38, 36, tzinfo=timezone.utc)
MANY = 10_000


def raised(error: str, at: str = "publish") -> str:
    """The message of an attempt whose code raised an exception."""
    frame = f'  File "/srv/pipeline.py", line 3, in {at}\n    call()'
    return f"{error}\n\nTraceback (most recent call last):\n{frame}\n{error}"


def step(name: str, *, seconds: float = 1.0, message: str = "", at: float = 0.0, **parts: Any) -> dict[str, Any]:
    """A task with one attempt, so many seconds after the run's start, which failed if it has a message."""
    status = "FAIL" if message else "SUCCESS"
    facts = {
        "code_identifier_type": "runlog_otel.facts",
        "code_identifier": json.dumps(parts.pop("facts", {})),
        "code_identifier_dependable": True,
    }
    attempt = {
        "attempt_number": 1,
        "start_time": at,
        "end_time": at + seconds,
        "status": status,
        "message": message,
        "input_parameters": {},
        "output_parameters": {},
        "user_defined_metrics": {},
        "retry_indicator": "",
        "code_identities": [facts, *parts.pop("code", ())],
        **parts,
    }
    kind = name if name in ("success", "fail") else "task"
    return {
        "name": name,
        "internal_name": name,
        "status": status,
        "step_type": kind,
        "message": "",
        "mock": False,
        "attempts": [attempt],
        "branches": {},
        "data_catalog": [],
    }


def log(
    run_id: str,
    steps: Sequence[dict[str, Any]],
    *,
    status: str = "SUCCESS",
    pipeline: str = "orders",
    tag: str = "",
    hours: float = 0,
    marked: Sequence[str] = (),
) -> dict[str, Any]:
    """A run log of these steps, which began so many hours after `START`; `marked` are secrets that stand in it."""
    start = START + timedelta(hours=hours)
    marks = [fingerprint_of(secret, run_id) for secret in marked]
    end = step("success" if status == "SUCCESS" else "fail", seconds=0, at=len(steps))
    for attempt in (attempt for each in (*steps, end) for attempt in each["attempts"]):
        times = {name: _time(start + timedelta(seconds=attempt[name])) for name in ("start_time", "end_time")}
        attempt.update(times)
        attempt["code_identities"].append(code_from_marks(marks))
    return {
        "run_id": run_id,
        "dag_hash": "d" * 40,
        "tag": tag,
        "status": status,
        "steps": {each["name"]: each for each in (*steps, end)},
        "job": None,
        "parameters": {},
        "run_config": config_from_header(start, {"pipeline": pipeline}, marks),
    }


def large_log(run_id: str) -> dict[str, Any]:
    """A run of ten thousand steps; each hundredth failed, with a traceback."""
    steps = [
        step(f"step {index:05}", at=index, message=raised(f"ValueError: {index}") if index % 100 == 0 else "")
        for index in range(MANY)
    ]
    return log(run_id, steps, status="FAIL", pipeline="large")


def write(folder: Path, *logs: Mapping[str, Any]) -> Path:
    """Write run logs as the file-system store does."""
    folder.mkdir(exist_ok=True)
    for each in logs:
        (folder / f"{each['run_id']}.json").write_text(json.dumps(each), encoding="utf-8")
    return folder


def _time(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", timespec="microseconds")
