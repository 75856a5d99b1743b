"""`runlog-otel runs --critical`: which step shortens a pipeline most."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from runlog_otel.cli import output
from runlog_otel.cli.output import cell
from runlog_otel.cli.show import duration_text
from runlog_otel.core.critical_totals import CriticalTimes, CriticalTotals, critical_times
from runlog_otel.core.redaction import Redaction

if TYPE_CHECKING:
    from runlog_otel.core.model import Run


def times_of_run(run: "Run", patterns: tuple[str, ...]) -> list[CriticalTimes]:
    """The critical paths of a run's executions, without secrets."""
    marks = {mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks}
    return critical_times(run, Redaction(patterns, run.run_id, (*run.header.marks, *marks)).bounded)


def print_totals(totals: CriticalTotals, *, pipeline: str, runs: int, width: int) -> None:
    """Print a row for each step that was on a critical path, and what was waited for."""
    if not totals.executions:
        output.line(f"no run of {pipeline} that is listed has ended")
        return
    table = output.table("step", "on the critical path", "mean", "mean wait before", "total", "share")
    for step in totals.steps:
        table.add_row(
            cell(step.step),
            f"{step.executions} of {totals.executions}",
            duration_text(step.own_ns // step.executions),
            duration_text(step.wait_ns // step.executions),
            duration_text(step.own_ns),
            _share(step.own_ns, totals),
        )
    waiting = totals.wait_ns
    mean_wait = duration_text(waiting // totals.executions)
    table.add_row("(waiting)", "", mean_wait, "", duration_text(waiting), _share(waiting, totals))
    output.rendered(table, width=width)
    mean = duration_text(totals.duration_ns // totals.executions)
    executions = _count(totals.executions, "execution")
    output.line(f"{executions} in {_count(runs, 'run')} of {pipeline}, {mean} each on average")


def document(totals: CriticalTotals, *, pipeline: str, runs: int, not_read: list[str]) -> dict[str, object]:
    """The same for machines; times in nanoseconds, `share` of the time of all executions."""
    return {
        "pipeline": pipeline,
        "runs": runs,
        "executions": totals.executions,
        "duration_ns": totals.duration_ns,
        "wait_ns": totals.wait_ns,
        "steps": [
            {
                **asdict(step),
                "mean_own_ns": step.own_ns // step.executions,
                "mean_wait_ns": step.wait_ns // step.executions,
                "share": step.own_ns / totals.duration_ns,
            }
            for step in totals.steps
        ],
        "not_read": not_read,
    }


def _share(ns: int, totals: CriticalTotals) -> str:
    return f"{ns / totals.duration_ns:.1%}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"
