"""The pages of pipelines: the list of them, and one over its last runs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from runlog_otel.core.baselines import Baseline, baseline_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.first_cause import fingerprints
from runlog_otel.core.headline import counted, failure_text
from runlog_otel.core.model import FINAL_STATUSES, Status
from runlog_otel.core.sightings import flakiness_of
from runlog_otel.stores.run_list import RunFilter, RunSummary
from runlog_otel.web import formats
from runlog_otel.web.charts import LARGE, SMALL, Chart, Value, chart
from runlog_otel.web.digests import RunDigest
from runlog_otel.web.reader import RunLine, RunReader, took_ns
from runlog_otel.web.runs_page import Row, row_of
from runlog_otel.web.site import Site

PIPELINES = 50
_OF_EACH = 20
_RUNS = 100
_READ = 50
"""How many of the newest runs are read whole: for steps, metrics and failures."""
_STEPS, _METRICS, _FAILURES = 30, 24, 20


@dataclass(frozen=True, slots=True)
class PipelineLine:
    """A pipeline in the list of them."""

    last: Row
    runs: int
    """How many of its last runs were looked at."""
    succeeded: int
    ended: int
    usual: Baseline | None
    """Durations of those that succeeded, in nanoseconds."""
    chart: Chart


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step over the runs of its pipeline."""

    key: str
    runs: int
    durations: Baseline | None
    queued: Baseline | None
    failed: int
    """Runs in which it failed."""
    retried: int
    """Runs in which it succeeded on a retry."""
    is_flaky: bool
    share: int
    """Its median beside the highest one, in percent."""


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A number that the code of a step measured, over runs."""

    step: str
    name: str
    last: float
    chart: Chart


@dataclass(frozen=True, slots=True)
class FailureLine:
    """Failures of one fingerprint."""

    fingerprint: Fingerprint
    message: str
    runs: int
    first_ns: int
    last_ns: int
    last_run_id: str


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline over its last runs."""

    name: str
    """As it may be shown."""
    runs: int
    has_more: bool
    read: int
    """How many of them were read whole."""
    succeeded: int
    ended: int
    usual: Baseline | None
    queued: Baseline | None
    """How long the steps of a run waited together, in nanoseconds."""
    durations: Chart
    slowest: tuple[StepLine, ...]
    flakiest: tuple[StepLine, ...]
    metrics: tuple[MetricLine, ...]
    failures: tuple[FailureLine, ...]


def pipeline_lines(reader: RunReader, site: Site, names: Sequence[str], now_ns: int) -> list[PipelineLine]:
    """The pipelines of a list, each by its last runs."""
    pages = [reader.history.page(RunFilter(pipeline=name), limit=_OF_EACH).runs for name in names]
    newest = reader.lines([runs[0] for runs in pages if runs], now_ns)
    lines = []
    for line, runs in zip(newest, filter(None, pages), strict=True):
        succeeded, ended = _succeeded(runs), _ended(runs)
        lines.append(
            PipelineLine(row_of(line), len(runs), len(succeeded), len(ended), _usual(succeeded), _durations(runs, site))
        )
    return lines


def pipeline_view(reader: RunReader, site: Site, name: str, now_ns: int) -> PipelineView | None:
    """The page of a pipeline; None if no run of it is found."""
    page = reader.history.page(RunFilter(pipeline=name), limit=_RUNS)
    if not page.runs:
        return None
    newest: RunLine = reader.lines(page.runs[:1], now_ns)[0]
    digests = reader.digests(page.runs[:_READ])
    records = [record for digest in digests for record in (*digest.earlier, digest.record)]
    succeeded, ended = _succeeded(page.runs), _ended(page.runs)
    usual = _usual(succeeded)
    steps = list(_steps(digests, records))
    waits = (float(sum(digest.queued_ns.values())) for digest in digests if digest.queued_ns)
    return PipelineView(
        name=newest.summary.pipeline,
        runs=len(page.runs),
        has_more=page.after is not None,
        read=len(digests),
        succeeded=len(succeeded),
        ended=len(ended),
        usual=usual,
        queued=baseline_of(waits),
        durations=_durations(page.runs, site, usual),
        slowest=tuple(_slowest(steps)),
        flakiest=tuple(sorted((step for step in steps if step.failed or step.retried), key=_trouble)[:_STEPS]),
        metrics=tuple(_metrics(digests, site)),
        failures=tuple(_failures(records)[:_FAILURES]),
    )


def _succeeded(runs: Iterable[RunSummary]) -> list[RunSummary]:
    return [run for run in runs if run.status == Status.SUCCESS.value]


def _ended(runs: Iterable[RunSummary]) -> list[RunSummary]:
    return [run for run in runs if run.status in FINAL_STATUSES]


def _usual(succeeded: Iterable[RunSummary]) -> Baseline | None:
    return baseline_of(float(took) for run in succeeded if (took := took_ns(run)) is not None)


def _durations(runs: Sequence[RunSummary], site: Site, usual: Baseline | None = None) -> Chart:
    """The runs that ended; a large chart with lines if `usual` is given."""
    kinds = {Status.SUCCESS.value: "ok", Status.FAIL.value: "bad"}
    values = [
        Value(took, kinds[run.status], site.run(run.run_id), f"{formats.short(run.run_id)}: {formats.duration(took)}")
        for run in reversed(runs)
        if run.status in kinds and (took := took_ns(run)) is not None
    ]
    rules = [("p50", usual.median), ("p95", usual.p95)] if usual else []
    lines = [(number, f"{name} {formats.duration(round(number))}") for name, number in rules]
    label = f"Durations of {counted(len(values), 'run')}"
    return chart(label, values, lines, size=LARGE if usual else SMALL, begins_at_zero=True)


def _steps(digests: Sequence[RunDigest], records: Sequence[ExecutionRecord]) -> Iterator[StepLine]:
    keys = dict.fromkeys(key for digest in digests for key in digest.record.steps)
    for key in keys:
        having = [digest for digest in digests if key in digest.record.steps]
        passed = [digest.record.steps[key] for digest in having if digest.record.steps[key].has_passed]
        name = having[0].record.steps[key].name
        flakiness = flakiness_of(key, records)
        yield StepLine(
            key=key,
            runs=len(having),
            durations=baseline_of(float(step.duration_ns) for step in passed),
            queued=baseline_of(float(digest.queued_ns[name]) for digest in having if name in digest.queued_ns),
            failed=flakiness.failed,
            retried=flakiness.passed_on_retry,
            is_flaky=flakiness.is_flaky,
            share=0,
        )


def _slowest(steps: Iterable[StepLine]) -> list[StepLine]:
    timed = [(step.durations.median, step) for step in steps if step.durations is not None]
    timed.sort(key=lambda pair: (-pair[0], pair[1].key))
    highest = max(1.0, timed[0][0]) if timed else 1.0
    return [replace(step, share=round(median / highest * 100)) for median, step in timed[:_STEPS]]


def _trouble(step: StepLine) -> tuple[float, str]:
    return -(step.failed + step.retried) / max(1, step.runs), step.key


def _metrics(digests: Sequence[RunDigest], site: Site) -> Iterator[MetricLine]:
    names = dict.fromkeys(name for digest in digests for name in digest.measured)
    for step, name in list(names)[:_METRICS]:
        having = [(digest.record, digest.measured[step, name]) for digest in digests if (step, name) in digest.measured]
        values = [
            Value(
                value,
                "ok" if record.has_succeeded else "bad" if record.has_failed else "run",
                site.run(record.run_id),
                f"{formats.short(record.run_id, 60)}: {formats.number(value)}",
            )
            for record, value in reversed(having)
        ]
        yield MetricLine(step, name, having[0][1], chart(f"{name} of {counted(len(values), 'run')}", values))


def _failures(records: Iterable[ExecutionRecord]) -> list[FailureLine]:
    """The failures by their fingerprint, the last one first."""
    seen: dict[Fingerprint, list[tuple[int, ExecutionRecord]]] = defaultdict(list)
    for record in records:
        for fingerprint, at_ns in fingerprints(record).items():
            seen[fingerprint].append((at_ns, record))
    lines = []
    for fingerprint, times in seen.items():
        first_ns = min(at_ns for at_ns, _ in times)
        last_ns, last = max(times, key=lambda pair: pair[0])
        runs = {record.run_id for _, record in times}
        lines.append(FailureLine(fingerprint, _message(last, fingerprint), len(runs), first_ns, last_ns, last.run_id))
    return sorted(lines, key=lambda line: -line.last_ns)


def _message(record: ExecutionRecord, fingerprint: Fingerprint) -> str:
    for part in record.parts:
        if part.evidence is not None and part.evidence.fingerprint == fingerprint:
            return failure_text(part.error_type, part.evidence.message)
    return record.description
