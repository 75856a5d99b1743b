"""Generates docs/mapping.md from `core.semconv` and docs/settings.md from `Settings`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from runlog_otel.core import semconv
from runlog_otel.settings import Settings

FOLDER = Path(__file__).parent
_CONVENTIONS = semconv.SCHEMA_URL.rpartition("/")[2].removesuffix(".0")


def mapping() -> str:
    """The page of every name that leaves the process."""
    return "\n".join(
        [
            "# What a run becomes",
            "",
            "`make docs` generates this page from `runlog_otel/core/semconv/`.",
            "",
            "A run log maps to one trace for each execution of the run. Names are those of OpenTelemetry's semantic",
            f"conventions for CI/CD, VCS and exceptions (v{_CONVENTIONS}, release candidate) where they exist, else "
            "`runlog.*`.",
            "",
            "trace id = first 16 bytes of SHA-256 over the NUL-joined parts `namespace, run id, execution`;",
            "span id = first 8 bytes over `namespace, run id, execution, part, path, attempt`, where `part` is `run`,",
            "`start`, `step`, `branch` or `attempt`, `path` the host's internal name, `attempt` 0 except for attempts.",
            "With `parent: child` the trace id is the caller's, and the run's parent is the caller's span.",
            "",
            "## Spans",
            "",
            *_table(("name", "kind", "what it is"), [(f"`{n.name}`", n.type, n.help) for n in semconv.SPANS]),
            "",
            "Failed spans have the status ERROR, with a message; on success the status is unset. Times come",
            "from the log: attempts have their own, every other span encloses those inside it.",
            "",
            "An execution that reached no verdict ends as its process or a person noted: `cancellation`, `timeout` or",
            "`error`. So does every part that was open then; what the process saw is an `exception` event of the run.",
            "",
            "## Attributes",
            "",
            *_table(
                ("name", "on", "type", "meaning"),
                [(f"`{n.name}`", n.on, n.type, n.help) for n in semconv.ATTRIBUTES],
            ),
            "",
            f"An attempt also has what its code annotates: at most {semconv.MAX_ANNOTATIONS} attributes and "
            f"{semconv.MAX_EVENTS} events, under names of its own.",
            f"A value is at most {semconv.MAX_ATTRIBUTE_BYTES:,} bytes of UTF-8.",
            "Values of parameters leave only if the setting `parameters` lists their names.",
            "",
            *_metrics(),
            "## Events",
            "",
            *_table(("name", "on", "when"), [(f"`{n.name}`", n.on, n.help) for n in semconv.EVENTS]),
            "",
        ]
    )


def _metrics() -> list[str]:
    return [
        "## Metrics",
        "",
        "Derived from the same log by one writer: `runlog-otel serve`. In Prometheus dots become underscores, the",
        "unit is appended, counters end in `_total`, histograms have `_bucket`, `_sum` and `_count`.",
        "Labels are never the run, pod or host; `runlog.run.tag` is one only when `metrics.by_tag` is set.",
        "An execution counts once, when it is complete.",
        "",
        *_table(
            ("name", "in Prometheus", "kind", "unit", "labels", "meaning"),
            [_metric(metric) for metric in semconv.METRICS.values()],
        ),
        "",
        f"Bounds of the histograms, in seconds: {', '.join(map(str, semconv.DURATION_BUCKETS))}; in bytes: "
        f"{', '.join(map(str, semconv.BYTE_BUCKETS))}.",
        "",
    ]


def settings() -> str:
    """The page of every setting."""
    rows = list(_rows(Settings))
    return "\n".join(
        [
            "# Settings",
            "",
            "`make docs` generates this page from `runlog_otel/settings.py`.",
            "",
            "Settings are under `telemetry` in the config of the store. They override environment variables, which",
            "override the defaults. `runlog-otel check` shows what is in force, and why.",
            "",
            *_table(("setting", "default", "meaning"), rows),
            "",
            "Variables for traces (`OTEL_EXPORTER_OTLP_TRACES_…`) override the general ones. An invalid variable is",
            "ignored, as the specification requires, and `check` says so. `OTEL_EXPORTER_OTLP_TIMEOUT` is in",
            "milliseconds, as specified; some SDKs read it as seconds.",
            "",
        ]
    )


def _rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for field, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from _rows(type(default), f"{field}.")
        else:
            shown = "" if default in ("", None, {}, ()) else f"`{default}`"
            yield f"`{prefix}{field}`", shown, info.description or ""


def _metric(metric: semconv.Metric) -> tuple[str, ...]:
    suffix = "_total" if metric.kind == "counter" else ""
    labels = ", ".join(f"`{label}`" for label in (*metric.labels, *metric.details))
    return (f"`{metric.name}`", f"`{metric.prometheus_name}{suffix}`", metric.kind, metric.unit, labels, metric.help)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows)]


PAGES = {"mapping.md": mapping, "settings.md": settings}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
