"""The demo's file is one that Jaeger's page opens."""

import subprocess
import sys
from pathlib import Path

from tests.peers.jaeger import Jaeger


def test_jaeger_opens_the_file_of_the_demo(tmp_path: Path, jaeger: Jaeger) -> None:
    """What the page does with an upload gives one whole trace, without a warning."""
    command = [sys.executable, "-m", "runlog_otel", "demo", "--folder", "demo"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (trace,) = jaeger.transform((tmp_path / "demo" / "traces.jsonl").read_text(encoding="utf-8"))
    ids = {span["spanID"] for span in trace["spans"]}
    roots = [span["operationName"] for span in trace["spans"] if not span["references"]]
    parents = {reference["spanID"] for span in trace["spans"] for reference in span["references"]}
    assert (roots, len(ids), parents - ids) == (["RUN demo"], len(trace["spans"]), set())
    assert [span["warnings"] for span in trace["spans"] if span["warnings"]] == []
