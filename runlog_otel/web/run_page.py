"""The page of a run as data, which `run.html` shows. Pure: it reads no clock, no file and no source.

Everything on it is made of the spans that a backend would get: what may not leave the process is not on the page.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.diagnosis import Changes, diagnosis_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.executions import Timeline, timeline_of
from runlog_otel.core.log_lines import Output
from runlog_otel.core.model import ExecutionLog, Run, SecretFingerprint, Status, Value
from runlog_otel.core.record_mapping import records_of
from runlog_otel.core.redaction import RedactionPolicy
from runlog_otel.core.trace import SpanRole, Trace
from runlog_otel.mapping import execution_of_run, traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.web import formats
from runlog_otel.web.charts import MEDIUM, Chart, chart
from runlog_otel.web.charts import Value as Dot
from runlog_otel.web.evidence import Failures, failures
from runlog_otel.web.output_lines import AttemptOutput, outputs
from runlog_otel.web.site import Site
from runlog_otel.web.tables import Tables, tables
from runlog_otel.web.waterfall import RUNNING, Waterfall, colour_of, result_of_span, waterfall
from runlog_otel.web.why import Why, why

_STALE_NS = 24 * 3600 * 10**9
"""Of a run that was not written for longer than this, nobody knows whether it still runs."""
_RESULTS = {Status.SUCCESS: "success", Status.FAIL: "failure"}
_ORIGIN = (semconv.TRIGGER_TYPE, semconv.TRIGGER_NAME, semconv.TRIGGER_USER)
_COMMIT_PAGES = {"github.com": "/commit/", "gitlab.com": "/-/commit/", "bitbucket.org": "/commits/"}
_TOTALS: tuple[tuple[str, str, Callable[[Iterable[float]], float], Callable[[float], str]], ...] = (
    ("CPU", semconv.CPU_TIME, sum, formats.seconds),
    ("peak memory", semconv.MEMORY_PEAK, max, formats.size),
    ("read", semconv.IO_READ, sum, formats.size),
    ("written", semconv.IO_WRITE, sum, formats.size),
    ("GPU", semconv.GPU_TIME, sum, formats.seconds),
)

ReadOutput = Callable[[ExecutionLog], Output | None]


class Fact(NamedTuple):
    """A fact below the title; `url` may be empty."""

    name: str
    value: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """One execution: what happened when, and why it failed."""

    number: int
    result: str
    colour: str
    is_complete: bool
    trace_id: str
    trace_url: str
    waterfall: Waterfall
    why: Why | None
    failures: Failures
    tables: Tables
    changes: Changes | None
    """What differs from the last successful run before."""
    usual_ns: int | None
    """The median duration of the successful runs before."""
    facts: tuple[Fact, ...]
    outputs: tuple[AttemptOutput, ...] = ()

    @property
    def duration_ns(self) -> int:
        """How long it took, or has taken so far."""
        return self.waterfall.end_ns - self.waterfall.start_ns


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run, with its executions from the newest on; none if the log has no time for any."""

    run_id: str
    pipeline: str
    tag: str
    result: str
    colour: str
    utc_offset_seconds: int | None
    is_live: bool
    """Whether it is in progress, so that its page is read again."""
    silent_since_ns: int | None
    """When it was last heard of, if it has not ended and nobody knows whether it is in progress."""
    original_run_id: str
    executions: tuple[ExecutionView, ...]
    history: Chart | None
    """The pipeline's runs, if there are others."""

    @property
    def latest(self) -> ExecutionView | None:
        """The newest execution."""
        return self.executions[0] if self.executions else None


def run_page(
    run: Run,
    settings: Settings,
    *,
    now_ns: int | None = None,
    is_revealing: bool = False,
    read_output: ReadOutput | None = None,
    history: Sequence[ExecutionRecord] = (),
    site: Site | None = None,
) -> RunPage:
    """The page of a run.

    Args:
        run: the run, whole.
        settings: how it is mapped, and what may be shown.
        now_ns: the time, in nanoseconds since the epoch, until when open parts are drawn; without it, until the latest
            time in the log, so that equal logs make equal pages.
        is_revealing: whether more values of parameters are shown, see `revealing`.
        read_output: reads the output of an attempt; None if it is not at hand.
        history: executions of other runs of the pipeline, in any order.
        site: where these runs have their pages; None for a report.
    """
    policy = revealing(settings.policy) if is_revealing else settings.policy
    timeline = timeline_of(run)
    traces = traces_from_run(run, settings, policy=policy, is_abandoned=True)
    records = records_of(run, traces)
    context = _Context(run, timeline, now_ns, read_output, (*history, *records))
    pairs = zip(reversed(traces), reversed(records), strict=True)
    views = tuple(_execution(context, trace, record) for trace, record in pairs)
    redaction = execution_of_run(run, settings, 1).redaction(_marks(run))
    result = views[0].result if views else _RESULTS.get(run.status, RUNNING)
    last_ns = traces[-1].spans[0].end_ns if traces else None
    is_open = not views[0].is_complete if views else not run.status.is_final
    is_silent = is_open and now_ns is not None and last_ns is not None and now_ns - last_ns > _STALE_NS
    return RunPage(
        run_id=redaction.bounded(run.run_id),
        pipeline=redaction.bounded(run.pipeline),
        tag=redaction.bounded(run.tag),
        result=result,
        colour=colour_of(result),
        utc_offset_seconds=run.header.utc_offset_seconds,
        is_live=is_open and not is_silent,
        silent_since_ns=last_ns if is_silent else None,
        original_run_id="" if run.original_run_id == run.run_id else redaction.bounded(run.original_run_id),
        executions=views,
        history=_history(context.records, run.run_id, site) if history else None,
    )


def revealing(policy: RedactionPolicy) -> RedactionPolicy:
    """The policy with values of all parameters, but those named like a secret; secrets in values stay masked."""
    return replace(policy, parameters=(*policy.parameters, "*"))


class _Context(NamedTuple):
    """What the executions of a run share."""

    run: Run
    timeline: Timeline
    now_ns: int | None
    read_output: ReadOutput | None
    records: Sequence[ExecutionRecord]


def _execution(context: _Context, trace: Trace, record: ExecutionRecord) -> ExecutionView:
    run, timeline, now_ns, read = context[:4]
    number, end_ns = record.execution, trace.spans[0].end_ns
    now_ns = None if now_ns is None or now_ns - end_ns > _STALE_NS else now_ns
    chart = waterfall(trace, is_complete=record.is_complete, now_ns=now_ns)
    before = [past for past in context.records if past is not record and past.start_ns <= record.start_ns]
    diagnosis = diagnosis_of(record, before, now_ns=now_ns)
    result = result_of_span(trace.spans[0], record.is_complete)
    return ExecutionView(
        number=number,
        result=result,
        colour=colour_of(result),
        is_complete=record.is_complete,
        trace_id=record.trace_id,
        trace_url=_web_address(trace.spans[0].attributes.get(semconv.PIPELINE_RUN_URL)),
        waterfall=chart,
        why=why(diagnosis, trace, chart),
        failures=failures(trace, chart),
        tables=tables(trace, chart),
        changes=diagnosis.changes,
        usual_ns=round(diagnosis.timing.baseline.median) if diagnosis.timing.baseline else None,
        facts=tuple(_facts(trace)),
        outputs=tuple(outputs(run, trace.execution, timeline, chart, read)) if read else (),
    )


def _history(records: Iterable[ExecutionRecord], run_id: str, site: Site | None) -> Chart:
    """How long the pipeline's runs took, each by its last execution, and the median of those that succeeded."""
    last = {record.run_id: record for record in sorted(records, key=lambda record: record.execution)}
    runs = sorted(last.values(), key=lambda record: (record.start_ns, record.run_id))
    dots = [
        Dot(
            record.duration_ns,
            "here" if record.run_id == run_id else colour_of(_result(record)),
            site.run(record.run_id) if site and record.run_id != run_id else "",
            f"{formats.short(record.run_id, 60)}: {_result(record)}, {formats.duration(record.duration_ns)}",
        )
        for record in runs
    ]
    usual = [record.duration_ns for record in runs if record.has_succeeded]
    rules = [(median(usual), f"median {formats.duration(round(median(usual)))}")] if usual else []
    label = f"How long the pipeline's last {len(runs)} runs took"
    return chart(label, dots, rules, size=MEDIUM, begins_at_zero=True)


def _result(record: ExecutionRecord) -> str:
    return record.result if record.is_complete else RUNNING


def _marks(run: Run) -> tuple[SecretFingerprint, ...]:
    return tuple({mark for step in run.all_steps() for attempt in step.attempts for mark in attempt.marks})


def _facts(trace: Trace) -> Iterator[Fact]:
    """What is worth a place at the top, as far as it is known."""
    root = trace.spans[0].attributes
    attempts = [span.attributes for span in trace.spans if span.role is SpanRole.ATTEMPT]
    if revision := root.get(semconv.VCS_REVISION):
        changed = "" if root.get(semconv.CODE_IS_CLEAN, True) else "+"
        yield Fact("revision", f"{str(revision)[:8]}{changed}", _commit_url(root))
    if branch := root.get(semconv.VCS_REF_NAME):
        yield Fact(str(root.get(semconv.VCS_REF_TYPE) or "branch"), str(branch))
    if origin := ", ".join(str(root[name]) for name in _ORIGIN if name in root):
        yield Fact("started by", origin, _web_address(root.get(semconv.TRIGGER_URL)))
    workers = list(dict.fromkeys(str(a[semconv.WORKER_NAME]) for a in attempts if semconv.WORKER_NAME in a))
    if workers:
        yield Fact("on", workers[0] if len(workers) == 1 else f"{len(workers)} workers")
    if executor := root.get(semconv.RUN_EXECUTOR):
        yield Fact("executor", str(executor))
    for name, key, combine, write in _TOTALS:
        if values := [value for a in attempts if isinstance(value := a.get(key), int | float)]:
            yield Fact(name, write(combine(values)))


def _commit_url(root: Mapping[str, Value]) -> str:
    """The page of the commit where the repository has one by a common rule."""
    repository = _web_address(root.get(semconv.VCS_REPOSITORY))
    host = repository.split("/")[2] if repository else ""
    if host not in _COMMIT_PAGES:
        return repository
    return f"{repository}{_COMMIT_PAGES[host]}{root[semconv.VCS_REVISION]}"


def _web_address(value: Value | None) -> str:
    """A URL that a link may have: no other scheme than that of the web, which a script's URL has not."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""
