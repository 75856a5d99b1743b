"""Each part of `make bench` measures something, with tiny sizes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.harness import ROOT


@pytest.mark.parametrize("part", PARTS)
def test_a_quick_run_writes_results_and_page(part: str, tmp_path: Path) -> None:
    """One round of each figure, which is positive, and a row of the page for each."""
    command = [sys.executable, "-m", "benchmarks", part, "--quick", "--into", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    result = json.loads((tmp_path / "benchmarks" / "results" / f"{part}.json").read_text(encoding="utf-8"))
    assert (result["part"], result["is_quick"]) == (part, True)
    assert result["figures"]
    for figure in result["figures"]:
        rounds = figure["rounds"]["ours"] + figure["rounds"]["reference"]
        assert min(rounds) > 0, figure["what"]
        assert (figure["is_met"] is None) == (figure["goal"] is None), figure["what"]
    page = (tmp_path / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")][2:]
    assert rows == [f"| {figure['what']}" for figure in result["figures"]]
    pictures = {path.name for path in (tmp_path / "docs").glob("*.svg")}
    assert pictures == {f"performance-{curve['name']}.svg" for curve in result["curves"]}
