"""The shipped Collector files are valid, by themselves and on top of each other, and say the same where they must."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from runlog_otel.core import semconv
from tests.stack.shipped import COLLECTORS, CONFIGS, ROOT

TIERS = (("single.yaml",), ("agent.yaml",), ("gateway.yaml",), ("gateway.yaml", "tail-sampling.yaml"))


def document(name: str) -> dict[str, Any]:
    """A file's content, its variables as they stand."""
    content: dict[str, Any] = YAML(typ="safe").load(COLLECTORS / name)
    return content


@pytest.mark.parametrize("files", TIERS, ids=" + ".join)
def test_the_collector_takes_the_files_without_a_warning(otelcol: Path, files: tuple[str, ...], tmp_path: Path) -> None:
    """`otelcol validate` finds nothing wrong, and no name or setting that is old."""
    configs = [f"--config={COLLECTORS / name}" for name in files]
    done = subprocess.run([otelcol / "otelcol", "validate", *configs], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_jaeger_links_to_the_pages_that_the_stack_serves() -> None:
    """By attributes that spans have, at the published address."""
    patterns = json.loads((CONFIGS / "jaeger" / "ui.json").read_text(encoding="utf-8"))["linkPatterns"]
    published = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]["runlog-otel"]["ports"]
    assert "127.0.0.1:9463:9463" in published
    assert {pattern["key"]: pattern["url"] for pattern in patterns} == {
        key: f"http://localhost:9463/{path}/#{{{key}}}"
        for key, path in ((semconv.PIPELINE_RUN_ID, "runs"), (semconv.PIPELINE_NAME, "pipelines"))
    }


def test_every_file_is_of_a_tier() -> None:
    """No Collector file is shipped that is not run here."""
    assert {path.name for path in COLLECTORS.iterdir()} == {name for files in TIERS for name in files}


@pytest.mark.parametrize(
    ("section", "name", "files"),
    [
        ("processors", "memory_limiter", ("single.yaml", "agent.yaml", "gateway.yaml")),
        ("processors", "redaction", ("single.yaml", "agent.yaml")),
        ("processors", "transform/logs", ("single.yaml", "gateway.yaml")),
        ("processors", "batch/deltas", ("single.yaml", "gateway.yaml")),
        ("processors", "transform/deltas", ("single.yaml", "gateway.yaml")),
        ("processors", "delta_to_cumulative", ("single.yaml", "gateway.yaml")),
        ("connectors", "span_metrics", ("single.yaml", "gateway.yaml")),
        ("exporters", "prometheus", ("single.yaml", "gateway.yaml")),
        ("exporters", "otlp_http/logs", ("single.yaml", "gateway.yaml")),
        ("extensions", "file_storage", ("single.yaml", "agent.yaml", "gateway.yaml")),
    ],
)
def test_tiers_say_the_same_of_the_same(section: str, name: str, files: tuple[str, ...]) -> None:
    """A component that several files must have alike, for each to stand alone, is alike."""
    first, *others = (document(file)[section][name] for file in files)
    assert others == [first] * len(others)
