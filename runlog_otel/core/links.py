"""The links of a run's span to the traces that it follows, the caller's, the execution before, the original run; and
the pages of traces in a backend, as the setting `ui` names them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from runlog_otel.core import semconv
from runlog_otel.core.caller import caller_from
from runlog_otel.core.model import Run
from runlog_otel.core.trace import Execution, Link, SpanRole

_GRAFANA = (
    "/explore?schemaVersion=1&panes=%7B%22trace%22%3A%7B%22datasource%22%3A%22tempo%22%2C%22queries%22%3A%5B%7B%22refId"
    "%22%3A%22A%22%2C%22queryType%22%3A%22traceql%22%2C%22query%22%3A%22{trace_id}%22%7D%5D%2C%22range%22%3A%7B%22from"
    "%22%3A%22{start_ms}%22%2C%22to%22%3A%22{end_ms}%22%7D%7D%7D"
)
"""One pane of Explore, JSON in the URL; the data source has the uid `tempo`."""
PRESETS: Mapping[str, str] = {
    "jaeger": "/trace/{trace_id}?uiFind={span_id}",
    "tempo-grafana": _GRAFANA,
    "zipkin": "/zipkin/traces/{trace_id}",
    "datadog": "/apm/trace/{trace_id}?spanID={span_id_decimal}",
    "honeycomb": "/trace?trace_id={trace_id}&span={span_id}&trace_start_ts={start_s}&trace_end_ts={end_s}",
}
"""What follows the base URL. For honeycomb that is the page of the environment, or of the dataset.

Sources: Jaeger's `uiFind`, Grafana's "Explore" URLs, Zipkin's Lens, Datadog's trace page, Honeycomb's "Share a Trace".
"""
PLACEHOLDERS = ("trace_id", "span_id", "span_id_decimal", "start_ms", "end_ms", "start_s", "end_s")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_BASE = re.compile(r"https?://[^\s/?#]+")


def links_of_run(run: Run, execution: Execution) -> Iterator[Link]:
    """The links of one execution's root span; none to a caller whose trace it joined."""
    if execution.number > 1:
        previous = replace(execution, number=execution.number - 1)
        yield _link(previous.trace_id, previous.span_id(SpanRole.RUN), "previous_execution")
        return
    if execution.caller is None and (caller := caller_from(run.header.traceparent)):
        yield _link(caller.trace_id, caller.span_id, "caller")
    if run.original_run_id and run.original_run_id != run.run_id:
        original = Execution(run.original_run_id, run.pipeline, 1, execution.namespace)
        yield _link(original.trace_id, original.span_id(SpanRole.RUN), "original_run")


def _link(trace_id: bytes, span_id: bytes, kind: str) -> Link:
    return Link(trace_id, span_id, {semconv.LINK_TYPE: kind})


def problem_of_ui(ui: str) -> str:
    """What is wrong with a value of the setting `ui`; empty if nothing is."""
    if not ui:
        return ""
    template = template_of(ui)
    if not _BASE.match(template):
        return f"must be http(s)://…, after one of {', '.join(f'{name}+' for name in PRESETS)} if it is not Jaeger"
    if unknown := [name for name in _PLACEHOLDER.findall(template) if name not in PLACEHOLDERS]:
        return f"has no {{{unknown[0]}}}; known are {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
    return ""


def template_of(ui: str) -> str:
    """The template of a setting: `preset+base URL`, a URL with placeholders, or the base URL of Jaeger."""
    preset, has_preset, base = ui.partition("+")
    if not has_preset or preset not in PRESETS:
        if "{trace_id}" in ui:
            return ui
        preset, base = "jaeger", ui
    return base.rstrip("/") + PRESETS[preset]


def trace_url(ui: str, trace_id: bytes, span_id: bytes = b"", interval: tuple[int, int] | None = None) -> str:
    """The URL of a trace, or of a span in it; empty without `ui`.

    Args:
        ui: the setting.
        trace_id: the trace.
        span_id: a span to show; without it, parts of the query that name one are left out.
        interval: start and end of what is shown, in nanoseconds since the epoch; the same holds without it.
    """
    if not ui:
        return ""
    start_ns, end_ns = interval or (0, 0)
    values = {
        "trace_id": trace_id.hex(),
        "span_id": span_id.hex(),
        "span_id_decimal": str(int.from_bytes(span_id, "big")) if span_id else "",
        **({"start_ms": str(start_ns // 10**6), "end_ms": str(-(-end_ns // 10**6))} if interval else {}),
        **({"start_s": str(start_ns // 10**9), "end_s": str(-(-end_ns // 10**9))} if interval else {}),
    }

    def filled(part: str) -> str:
        return _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), part)

    page, _, query = template_of(ui).partition("?")
    parts = [
        filled(part)
        for part in query.split("&")
        if part and ("trace_id}" in part or all(values.get(name) for name in _PLACEHOLDER.findall(part)))
    ]
    return filled(page) + (f"?{'&'.join(parts)}" if parts else "")
