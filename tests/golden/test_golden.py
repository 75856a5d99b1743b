"""Recorded logs map to the spans that were looked at once; a change of the mapping shows in the diff."""

import hashlib
import json
import os
from datetime import timezone
from pathlib import Path

import pytest

from runlog_otel.cli.show import document
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.semconv import SCOPE_VERSION
from runlog_otel.settings import Settings

_FOLDER = Path(__file__).parent
_LOGS = sorted(path.name.removesuffix(".log.json") for path in _FOLDER.glob("*.log.json"))
_RECORDED = ("2", "44abfc6e100dadbb4851679c42f562e96992e2b2d573f7034154fac217e780f8")
"""The version of the mapping, and the SHA-256 of the spans that it was recorded with."""


@pytest.mark.parametrize("name", _LOGS)
def test_a_recorded_log_maps_to_the_recorded_spans(name: str) -> None:
    """Whole: names, ids, times, attributes, results (RUNLOG_OTEL_WRITE_GOLDEN=1 records them again)."""
    log = json.loads((_FOLDER / f"{name}.log.json").read_text(encoding="utf-8"))
    spans = json.loads(json.dumps(document(run_from_log(log, zone=timezone.utc), Settings.load({}, {}))))
    recorded = _FOLDER / f"{name}.spans.json"
    if os.environ.get("RUNLOG_OTEL_WRITE_GOLDEN"):
        recorded.write_text(json.dumps(spans, indent=1) + "\n", encoding="utf-8")
    assert spans == json.loads(recorded.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", _LOGS)
def test_no_recorded_secret_is_in_the_spans(name: str) -> None:
    """A git remote with a password is in one of the logs."""
    assert "secret@" not in (_FOLDER / f"{name}.spans.json").read_text(encoding="utf-8")


def test_a_change_of_the_mapping_raises_its_version() -> None:
    """The scope's version says which mapping made a span: other content under the same ids needs another one."""
    digest = hashlib.sha256(b"".join(_FOLDER.joinpath(f"{name}.spans.json").read_bytes() for name in _LOGS)).hexdigest()
    assert (SCOPE_VERSION, digest) == _RECORDED, (
        "The recorded spans are others. If a log that was recorded before maps to other spans, raise SCOPE_VERSION in "
        "runlog_otel/core/semconv/__init__.py and say in CHANGELOG.md what changed. Then, or if logs were only added, "
        f"put the version and the digest {digest} into _RECORDED in this file."
    )
