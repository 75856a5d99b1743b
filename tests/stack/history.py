"""Two weeks of a pipeline that was well until three days ago, for a Prometheus that has not lived that long."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PIPELINE = "history"
DAY = 86_400
STEP = 300
"""Seconds between two samples."""


def write_history(promtool: Path, folder: Path) -> None:
    """Write blocks of samples into Prometheus's folder, before it starts.

    A success every hour, of 100 s each, until three days ago, and what Prometheus would have recorded of that; in the
    last half hour one of 1,000 s more, which is slow.
    """
    source = folder / "history.txt"
    source.write_text("\n".join([*_lines(int(time.time()) // STEP * STEP), "# EOF", ""]), encoding="utf-8")
    command: list[str | Path] = [promtool, "tsdb", "create-blocks-from", "openmetrics", source, folder / "data"]
    subprocess.run(command, check=True, capture_output=True)


def _lines(now: int) -> Iterator[str]:
    moments = range(now - 14 * DAY, now + 1, STEP)
    last = now - 3 * DAY
    hours = {at: (min(at, last) - moments[0]) // 3600 for at in moments}
    is_late = {at: at > now - STEP * 6 for at in moments}
    of_runs = f'cicd_pipeline_name="{PIPELINE}",cicd_pipeline_result="success"'
    known: dict[str, tuple[str, Callable[[int], int | None]]] = {
        "cicd_pipeline_run_duration_seconds_count": (of_runs, lambda at: hours[at] + is_late[at]),
        "cicd_pipeline_run_duration_seconds_sum": (of_runs, lambda at: 100 * hours[at] + 1000 * is_late[at]),
        "runlog:run_duration_seconds:mean1h": (_NAME, lambda at: 100 if at <= last else None),
        "runlog:success_gap_seconds": (_NAME, lambda at: 3600 if at <= last and at % 3600 == 0 else None),
    }
    for metric, (labels, value) in known.items():
        yield f"# TYPE {metric} gauge"
        yield from (f"{metric}{{{labels}}} {value(at)} {at}" for at in moments if value(at) is not None)


_NAME = f'cicd_pipeline_name="{PIPELINE}"'
