"""Writes the pages that follow from the code: docs/mapping.md from `names`, docs/settings.md from `Settings`."""

from collections.abc import Sequence
from pathlib import Path

from runlog_otel import names
from runlog_otel.settings import Settings

FOLDER = Path(__file__).parent


def mapping() -> str:
    """The page of every name that leaves the process."""
    return "\n".join(
        [
            "# What a run becomes",
            "",
            "This page is made from `runlog_otel/names.py` by `make docs`.",
            "",
            "A run log maps to one trace for each execution of the run. Names are those of OpenTelemetry's semantic",
            "conventions for CI/CD, VCS and exceptions (v1.43, release candidate) where these reach, else `runlog.*`.",
            "",
            "trace id = first 16 bytes of SHA-256 over the NUL-joined parts `namespace, run id, execution`;",
            "span id = first 8 bytes over `namespace, run id, execution, part, path, attempt`, where `part` is `run`,",
            "`start`, `step`, `branch` or `attempt`, `path` the host's internal name, `attempt` 0 but for attempts.",
            "",
            "## Spans",
            "",
            *_table(("name", "kind", "what it is"), [(f"`{n.name}`", n.type, n.help) for n in names.SPANS]),
            "",
            "What failed has the status ERROR; what succeeded leaves it unset. Times come from the log: attempts have",
            "their own, everything else envelops what is inside it.",
            "",
            "## Attributes",
            "",
            *_table(
                ("name", "on", "type", "what it tells"),
                [(f"`{n.name}`", n.on, n.type, n.help) for n in names.ATTRIBUTES],
            ),
            "",
            f"A value is at most {names.MAX_ATTRIBUTE_BYTES:,} bytes of UTF-8.",
            "Values of parameters do not leave the process.",
            "",
            "## Events",
            "",
            *_table(("name", "on", "when"), [(f"`{n.name}`", n.on, n.help) for n in names.EVENTS]),
            "",
        ]
    )


def settings() -> str:
    """The page of every setting."""
    rows = []
    for field, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True)
        rows.append((f"`{field}`", "" if default in ("", None, {}) else f"`{default}`", info.description or ""))
    return "\n".join(
        [
            "# Settings",
            "",
            "This page is made from `runlog_otel/settings.py` by `make docs`.",
            "",
            "They stand under `telemetry` in the config of the store; a setting there wins over a variable of the",
            "environment, which wins over the default. `runlog-otel check` shows what is in force, and why.",
            "",
            *_table(("setting", "default", "meaning"), rows),
            "",
            "Variables for traces (`OTEL_EXPORTER_OTLP_TRACES_…`) win over the general ones. A variable that is not",
            "understood is ignored, as the specification asks, and `check` says so. `OTEL_EXPORTER_OTLP_TIMEOUT` is in",
            "milliseconds, as specified; some SDKs read it as seconds.",
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows)]


PAGES = {"mapping.md": mapping, "settings.md": settings}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
