"""Run logs that nothing ran, as runnable writes them."""

from datetime import datetime, timedelta
from typing import Any

Document = dict[str, Any]
_START = datetime(2026, 1, 1, 10)  # noqa: DTZ001 the hosts write naive times


def spans_of(steps: int) -> int:
    """How many spans a run of so many steps has: its own, and those of each step and its attempt."""
    return 1 + 2 * steps


def document(number: int, steps: int) -> Document:
    """A run of plain steps, as runnable writes it."""
    start = _START + timedelta(seconds=100 * number)
    log = {f"step {n}": _step(f"step {n}", "task", start + timedelta(seconds=n), 0.7) for n in range(steps)}
    log["success"] = _step("success", "success", start + timedelta(seconds=steps), 0)
    return _run(f"run-{number}", {"pipeline_definition_file": "main.flow"}) | {"steps": log}


def job(run_id: str) -> Document:
    """A run of one job."""
    return _run(run_id, {"job_definition_file": "pipeline_0"}) | {"job": _step("job", "task", _START, 1)}


def _run(run_id: str, config: Document) -> Document:
    return {
        "run_id": run_id,
        "dag_hash": "h",
        "tag": "",
        "status": "SUCCESS",
        "original_run_id": "",
        "parameters": {},
        "run_config": config,
        "job": None,
        "steps": {},
    }


def _step(name: str, kind: str, start: datetime, seconds: float) -> Document:
    is_task = kind == "task"
    code = {
        "code_identifier": "a" * 40,
        "code_identifier_type": "git",
        "code_identifier_dependable": True,
        "code_identifier_url": "git@host:x.git",
        "code_identifier_message": "",
    }
    attempt = {
        "attempt_number": 1,
        "start_time": str(start),
        "end_time": str(start + timedelta(seconds=seconds)),
        "status": "SUCCESS",
        "message": "",
        "input_parameters": {"x": {"kind": "json", "value": 1}} if is_task else {},
        "output_parameters": {"y": {"kind": "json", "value": 2}} if is_task else {},
        "user_defined_metrics": {},
        "retry_indicator": "",
        "code_identities": [code] if is_task else [],
    }
    item = {
        "name": f"{name}.execution.log",
        "data_hash": "a" * 64,
        "catalog_relative_path": "",
        "catalog_handler_location": ".catalog",
        "stage": "put",
    }
    return {
        "name": name,
        "internal_name": name,
        "status": "SUCCESS",
        "step_type": kind,
        "message": "",
        "mock": False,
        "branches": {},
        "attempts": [attempt],
        "data_catalog": [item] if is_task else [],
    }
