"""`runlog-otel show`: the waterfall of a run, from its log."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from runlog_otel.cli import output
from runlog_otel.cli.loading import run_named, source
from runlog_otel.cli.options import AsJson, ConfigFile, RunNamed, SourceUrl
from runlog_otel.cli.output import cell
from runlog_otel.core import semconv
from runlog_otel.core.critical_path import CriticalPath, critical_path
from runlog_otel.core.executions import timeline_of
from runlog_otel.core.links import trace_url
from runlog_otel.core.model import Run
from runlog_otel.core.redaction import bounded
from runlog_otel.core.spans import is_execution_complete
from runlog_otel.core.trace import Span, SpanRole, Trace
from runlog_otel.mapping import traces_from_run
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_STYLES = {"success": "green", "failure": "red", "error": "red", "skip": "dim", "running": "yellow"}
_RESULTS = (semconv.PIPELINE_RESULT, semconv.TASK_RESULT, semconv.BRANCH_RESULT, semconv.ATTEMPT_RESULT)
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII_EIGHTHS = "     ####"
_MIN_WIDTH, _MAX_WIDTH = 60, 100
_CRITICAL = "*"
_LAST_LINES = 7
_MAX_SAID = 500
"""The most bytes that are printed of what an attempt's code said; `--json` has all of it."""

_ORIGIN = {
    "started by": (semconv.TRIGGER_TYPE, semconv.TRIGGER_NAME, semconv.TRIGGER_USER, semconv.TRIGGER_URL),
    "checked out": (semconv.VCS_REPOSITORY_NAME, semconv.VCS_REF_TYPE, semconv.VCS_REF_NAME, semconv.VCS_REVISION),
}


class _Shown(NamedTuple):
    """An execution; one that has not ended is shown as if it ended now."""

    trace: Trace
    is_complete: bool
    path: CriticalPath


def show(
    run: RunNamed,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Show a run from its log: what ran when, how it ended, its trace id."""
    loaded = source(url, config)
    recorded = run_named(loaded, run)
    if as_json:
        output.document(document(recorded, loaded.settings))
    else:
        waterfall(recorded, loaded.settings)


def waterfall(run: Run, settings: Settings) -> None:
    """Print a bar for each span, in the order of the log."""
    executions = _executions(run, settings)
    if not executions:
        state = f"has ended ({run.status.value}) without a step" if run.status.is_final else "has recorded nothing yet"
        output.line(f"run {run.run_id} of {run.pipeline} {state}")
    for shown in executions:
        execution = shown.trace.execution
        again = f", execution {execution.number}" if len(executions) > 1 else ""
        output.rendered(*_rendered(run, shown, again))
        output.line(f"trace {execution.trace_id.hex()}")
        if url := _url(shown.trace, settings):
            output.line(url)


def _rendered(run: Run, shown: _Shown, again: str) -> Iterator["RenderableType"]:
    from rich.text import Text

    trace = shown.trace
    root = trace.spans[0]
    result = _result(root, shown.is_complete)
    yield Text.assemble(
        cell(run.run_id, "bold"),
        cell(f"  {run.pipeline}{again}  {_duration(root)}  "),
        cell(result, _STYLES.get(result, "")),
    )
    yield _table(trace, shown.is_complete, max(_MIN_WIDTH, min(output.terminal_width(), _MAX_WIDTH)))
    yield from map(cell, (*_legend(shown), *_origin(root), *_changes(root), *_said(trace)))
    yield from (cell(line, "red") for line in _last_words(trace))


def document(run: Run, settings: Settings) -> dict[str, Any]:
    """The waterfall for machines; times in nanoseconds since the epoch."""
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "status": run.status.value,
        "executions": [
            {
                "execution": shown.trace.execution.number,
                "trace_id": shown.trace.execution.trace_id.hex(),
                "url": _url(shown.trace, settings),
                "is_complete": shown.is_complete,
                "critical_path": _path_document(shown),
                "spans": list(_span_documents(shown)),
            }
            for shown in _executions(run, settings)
        ],
    }


def _url(trace: Trace, settings: Settings) -> str:
    root = trace.spans[0]
    return trace_url(settings.ui, trace.execution.trace_id, interval=(root.start_ns, root.end_ns))


def _executions(run: Run, settings: Settings) -> list[_Shown]:
    """Every execution, and whether it has ended: one that has not is shown as if it ended now."""
    timeline = timeline_of(run)
    traces = {trace.execution.number: trace for trace in traces_from_run(run, settings, is_abandoned=True)}
    return [
        _Shown(trace, is_execution_complete(run, timeline, number), path)
        for number, trace in traces.items()
        if (path := critical_path(run, number, timeline))
    ]


def _path_document(shown: _Shown) -> dict[str, Any]:
    path = shown.path
    spans = {span.span_id: span for span in shown.trace.spans}
    on_path = [(step, spans[shown.trace.execution.span_id(SpanRole.STEP, step.step.path)]) for step in path.steps]
    return {
        "own_ns": path.own_ns,
        "wait_ns": path.wait_ns,
        "final_wait_ns": path.final_wait_ns,
        "steps": [
            {
                "span_id": span.span_id.hex(),
                "path": span.attributes.get(semconv.TASK_RUN_ID, ""),
                "start_ns": step.start_ns,
                "end_ns": step.end_ns,
                "own_ns": step.own_ns,
                "wait_ns": step.wait_ns,
            }
            for step, span in on_path
        ],
    }


def _span_documents(shown: _Shown) -> Iterator[dict[str, Any]]:
    ids = shown.trace.execution.span_ids
    slack_ns = {ids(SpanRole.STEP, path): slack for path, slack in shown.path.slack_ns.items()}
    for span in shown.trace.spans:
        yield {
            "part": span.role.value,
            "name": span.name,
            "span_id": span.span_id.hex(),
            "parent_span_id": span.parent_span_id.hex(),
            "start_ns": span.start_ns,
            "end_ns": span.end_ns,
            **({"slack_ns": slack_ns.get(span.span_id)} if span.role is SpanRole.STEP else {}),
            "result": _result(span, shown.is_complete),
            "error": span.error,
            "attributes": dict(span.attributes),
            "events": [event._asdict() for event in span.events],
        }


def _table(trace: Trace, is_complete: bool, width: int) -> "Table":
    """Attempts have rows only if a step has several: a single one repeats its step."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    depths = {trace.spans[0].parent_span_id: -1}
    for span in trace.spans:
        depths[span.span_id] = depths[span.parent_span_id] + 1
    tries: dict[bytes, int] = {}
    for span in trace.spans:
        if span.role is SpanRole.ATTEMPT:
            tries[span.parent_span_id] = tries.get(span.parent_span_id, 0) + 1
    rows = [
        span
        for span in trace.spans
        if span.role is not SpanRole.START and (span.role is not SpanRole.ATTEMPT or tries[span.parent_span_id] > 1)
    ]
    labels = [cell("  " * depths[span.span_id] + _label(span)) for span in rows]
    table = Table(box=None, show_header=False, pad_edge=False, width=width)
    label_width = min(max(cell_len(label.plain) for label in labels), width // 2)
    bar_width = max(10, width - label_width - 23)
    table.add_column(width=label_width, no_wrap=True, overflow="ellipsis")
    table.add_column(width=bar_width, no_wrap=True)
    table.add_column(width=10, no_wrap=True)
    table.add_column(width=8, no_wrap=True)
    messages = {span.parent_span_id: span.error or "" for span in trace.spans if span.role is SpanRole.ATTEMPT}
    for span, label in zip(rows, labels, strict=True):
        result = _result(span, is_complete)
        style = _STYLES.get(result, "")
        bar = Text(_bar(span, trace.spans[0], bar_width), style)
        mark = _CRITICAL if semconv.STEP_IS_CRITICAL in span.attributes else " "
        table.add_row(label, bar, f"{mark}{_duration(span):>9}", cell(result, style))
        if message := messages.get(span.span_id, "").splitlines():
            table.add_row("", cell(message[0], "red"))
    return table


def _legend(shown: _Shown) -> Iterator[str]:
    """What the mark of the critical path means, and what the path is made of."""
    path = shown.path
    if count := len(path.steps):
        so_far = "" if shown.is_complete else " so far"
        steps = f"{count} step{'s' if count > 1 else ''} {duration_text(path.own_ns)}"
        waiting = f"waiting {duration_text(path.wait_ns)}"
        yield f"{_CRITICAL} critical path, what set the run's length{so_far}: {steps}, {waiting}"


def _said(trace: Trace) -> Iterator[str]:
    """What the code of each attempt said: its annotations, and how often each of its events happened."""
    for span in trace.spans:
        if span.role is SpanRole.ATTEMPT:
            said = [f"{name}={value}" for name, value in span.attributes.items() if semconv.is_free(name)]
            events = Counter(event.name for event in (span.events[:-1] if span.evidence else span.events))
            said += [name if count == 1 else f"{name} ({count} times)" for name, count in events.items()]
            if said:
                yield f"{_attempt(span)}: {bounded(', '.join(said), _MAX_SAID)}"


def _attempt(span: Span) -> str:
    return f"{span.attributes[semconv.STEP_PATH]}, attempt {span.attributes[semconv.ATTEMPT_NUMBER]}"


def _last_words(trace: Trace) -> Iterator[str]:
    """The last frames of the traceback of each failed attempt, or the end of its output."""
    for span in trace.spans:
        lines = str(span.evidence.get(semconv.EXCEPTION_STACKTRACE, span.error)).splitlines() if span.evidence else []
        if len(lines) > 1:
            yield f"{_attempt(span)}:"
            yield from (f"  {line}" for line in lines[-_LAST_LINES:])


def _origin(root: Span) -> Iterator[str]:
    """Who started the run, and what was checked out, as far as that is known."""
    for title, names in _ORIGIN.items():
        if known := [str(root.attributes[name]) for name in names if name in root.attributes]:
            yield f"{title}: {', '.join(known)}"


def _changes(root: Span) -> Iterator[str]:
    """What changed before a run failed, from its root span."""
    for event in root.events:
        diff = event.attributes
        if event.name != semconv.CHANGES_EVENT:
            continue
        revisions = (diff.get(semconv.CHANGES_REVISION_BEFORE), diff.get(semconv.CHANGES_REVISION))
        parts = [f"revision {revisions[0]} → {revisions[1]}"] if all(revisions) else []
        for what, key in (("parameters", semconv.CHANGES_PARAMETERS), ("files", semconv.CHANGES_FILES)):
            if listed := diff.get(key):
                parts.append(f"{what} {', '.join(listed)}" if isinstance(listed, tuple) else f"{what} {listed}")
        yield f"since {diff[semconv.CHANGES_SINCE]} succeeded: {'; '.join(parts) or 'nothing that is recorded changed'}"


def _label(span: Span) -> str:
    if span.role is SpanRole.BRANCH:
        return str(span.attributes.get(semconv.BRANCH_NAME, span.name))
    if span.role is SpanRole.ATTEMPT:
        return f"attempt {span.attributes[semconv.ATTEMPT_NUMBER]}"
    return span.name


def _result(span: Span, is_complete: bool) -> str:
    result = next((str(span.attributes[key]) for key in _RESULTS if key in span.attributes), "")
    is_open = span.attributes.get(semconv.ERROR_TYPE) == semconv.ABANDONED
    return "running" if is_open and not is_complete else result


def _bar(span: Span, root: Span, width: int) -> str:
    total = max(1, root.end_ns - root.start_ns)
    start = (span.start_ns - root.start_ns) * width * 8 // total
    end = max(start + 1, (span.end_ns - root.start_ns) * width * 8 // total)
    start = min(start, width * 8 - 1)
    covered = (min(end, at + 8) - max(start, at) for at in range(0, width * 8, 8))
    blocks = _EIGHTHS if output.is_encodable(_EIGHTHS) else _ASCII_EIGHTHS
    return "".join(blocks[max(0, min(8, eighths))] for eighths in covered).rstrip()


def _duration(span: Span) -> str:
    return duration_text(span.end_ns - span.start_ns)


def duration_text(ns: int) -> str:
    """A duration for people."""
    seconds = ns / 1e9
    if seconds < 1:
        return f"{seconds * 1e3:.1f}ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.2f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m{rest:02}s" if hours else f"{minutes}m{rest:02}s"
