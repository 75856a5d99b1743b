"""Runs side by side: two or more that are named, or those of a tag. The others are compared with the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runlog_otel.core.comparison import Difference, comparison_of
from runlog_otel.core.execution_record import HARMLESS, ExecutionRecord
from runlog_otel.core.trace import Result
from runlog_otel.errors import ConfigError, RunNotFoundError
from runlog_otel.stores.run_list import RunFilter
from runlog_otel.web.digests import RunDigest
from runlog_otel.web.reader import RunReader

MAX_RUNS = 12
_MAX_NAMED = 5
_LEAST = 0.1
"""The share of a step's duration from which on a change is written."""
_LEAST_NS = 10_000_000
_COLOURS = {Result.SUCCESS.value: "ok", Result.SKIP.value: "none"}


class Cell(NamedTuple):
    """A step in one run."""

    duration_ns: int | None
    result: str
    colour: str
    change_ns: int
    """Against the first run; 0 if it is too small to matter."""


class StepRow(NamedTuple):
    """A step in every run."""

    key: str
    cells: tuple[Cell, ...]


class DifferenceRow(NamedTuple):
    """Something that is not the same in all runs; an empty value may not be shown, or is that of the first run."""

    kind: str
    name: str
    values: tuple[str, ...]


class MetricRow(NamedTuple):
    """A number that the code of a step measured."""

    step: str
    name: str
    values: tuple[float | None, ...]


class Slower(NamedTuple):
    """What took longer in a run than in the first one."""

    run_id: str
    change_ns: int
    """Of the run."""
    steps: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CompareView:
    """Runs side by side."""

    records: tuple[ExecutionRecord, ...]
    colours: tuple[str, ...]
    slower: tuple[Slower, ...]
    steps: tuple[StepRow, ...]
    differences: tuple[DifferenceRow, ...]
    metrics: tuple[MetricRow, ...]
    has_more: bool


def compare_view(reader: RunReader, run_ids: Sequence[str], tag: str) -> CompareView:
    """The comparison of some runs in their order, or of the newest of a tag, the oldest first.

    Raises:
        ConfigError: there are too few or too many runs.
        RunNotFoundError: a run is not there, or has recorded nothing.
    """
    run_ids = tuple(dict.fromkeys(run_ids))
    if len(run_ids) > MAX_RUNS:
        raise ConfigError("run", f"at most {MAX_RUNS} runs are compared, not {len(run_ids)}")
    has_more = False
    if run_ids:
        digests = [_digest(reader, run_id) for run_id in run_ids]
    else:
        page = reader.history.page(RunFilter(tag=tag), limit=MAX_RUNS)
        has_more = page.after is not None
        digests = sorted(reader.digests(page.runs), key=lambda digest: digest.record.start_ns)
    if len(digests) < 2:  # noqa: PLR2004 a comparison is of two
        name = f"tag {tag!r} has" if tag and not run_ids else "there is"
        raise ConfigError("compare", f"{name} {len(digests)} run that can be read; two or more are compared")
    return _view(digests, has_more=has_more)


def _digest(reader: RunReader, run_id: str) -> RunDigest:
    digest = reader.digest(run_id)
    if digest is None:
        raise RunNotFoundError(run_id, reader.source.where)
    return digest


def _view(digests: Sequence[RunDigest], *, has_more: bool) -> CompareView:
    records = [digest.record for digest in digests]
    first, *others = records
    comparisons = [comparison_of(first, other) for other in others]
    since = {key: step.start_ns - record.start_ns for record in records for key, step in record.steps.items()}
    keys = sorted(since, key=lambda key: (since[key], key))
    return CompareView(
        records=tuple(records),
        colours=tuple(_COLOURS.get(record.result, "bad") if record.is_complete else "run" for record in records),
        slower=tuple(
            Slower(
                other.run_id,
                other.duration_ns - first.duration_ns,
                tuple((pair.key, pair.change_ns) for pair in comparison.slower[:_MAX_NAMED]),
            )
            for other, comparison in zip(others, comparisons, strict=True)
        ),
        steps=tuple(StepRow(key, tuple(_cell(key, record, first) for record in records)) for key in keys),
        differences=tuple(_differences([comparison.differences for comparison in comparisons])),
        metrics=tuple(
            MetricRow(step, name, tuple(digest.measured.get((step, name)) for digest in digests))
            for step, name in dict.fromkeys(name for digest in digests for name in digest.measured)
        ),
        has_more=has_more,
    )


def _cell(key: str, record: ExecutionRecord, first: ExecutionRecord) -> Cell:
    step, usual = record.steps.get(key), first.steps.get(key)
    if step is None:
        return Cell(None, "", "none", 0)
    change = step.duration_ns - usual.duration_ns if usual is not None else 0
    is_notable = usual is not None and abs(change) >= max(_LEAST_NS, _LEAST * usual.duration_ns)
    colour = "" if step.result in HARMLESS else "bad"
    return Cell(step.duration_ns, step.result, colour, change if is_notable else 0)


def _differences(of_others: Sequence[Sequence[Difference]]) -> list[DifferenceRow]:
    """Each difference once, with the value of the first run and of those that differ from it."""
    found: dict[tuple[str, str], dict[int, Difference]] = {}
    for number, differences in enumerate(of_others):
        for difference in differences:
            found.setdefault((difference.kind, difference.name), {})[number] = difference
    rows = []
    for (kind, name), of_runs in found.items():
        before = next(iter(of_runs.values())).before
        values = (
            (of_runs[number].after or "another value") if number in of_runs else "same"
            for number in range(len(of_others))
        )
        rows.append(DifferenceRow(kind.replace("_", " "), name, (before, *values)))
    return rows
