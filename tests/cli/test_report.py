"""`runlog-otel report`: a run's page as one file."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS


@pytest.mark.canary
def test_a_report_is_one_private_file(quick: Command, project: Path) -> None:
    """It names no other place, only its owner can read it, and it is the same when it is made again."""
    path = project / "report.html"
    done = quick("report", RUNS["demo"], "--output", "report.html")
    assert (done.status, done.out, done.err) == (0, "report.html\n", "")
    text = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert RUNS["demo"] in text
    assert re.findall(r"(?:src|href|action)=\"(?!#)|url\(|@import|https?://", text) == []
    path.chmod(0o644)
    assert quick("report", RUNS["demo"], "-o", "report.html", "--force").status == 0
    assert path.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in project.iterdir() if each.name.startswith(".report")] == []


def test_a_file_is_replaced_only_with_force(quick: Command, project: Path) -> None:
    """And nothing is written where the call is wrong."""
    (project / "mine.html").write_text("mine")
    refused = quick("report", RUNS["demo"], "-o", "mine.html")
    assert (refused.status, refused.err) == (2, "error: --output: mine.html exists; --force replaces it\n")
    assert (project / "mine.html").read_text() == "mine"
    lost = quick("report", RUNS["demo"], "-o", "none/report.html")
    assert (lost.status, lost.err) == (2, "error: --output: there is no folder none\n")
    unknown = quick("report", "nope", "-o", "report.html")
    assert (unknown.status, unknown.err.count("\n"), (project / "report.html").exists()) == (2, 1, False)


def test_a_report_needs_only_the_log(quick: Command, project: Path) -> None:
    """A file that somebody sent gives the same page as a store without other runs."""
    assert quick("report", str(GOLDEN / "job.log.json"), "-o", "file.html").status == 0
    assert quick("report", RUNS["job"], "-o", "store.html").status == 0
    assert (project / "file.html").read_bytes() == (project / "store.html").read_bytes()


def test_the_newest_run_has_a_name(quick: Command, project: Path) -> None:
    """As for `why`."""
    log = json.loads((GOLDEN / "job.log.json").read_text()) | {"run_id": "newest"}
    (project / ".run_log_store" / "newest.json").write_text(json.dumps(log))
    os.utime(project / ".run_log_store" / "newest.json", (4_000_000_000, 4_000_000_000))
    assert quick("report", "latest", "-o", "latest.html").status == 0
    assert "newest" in (project / "latest.html").read_text()


def test_the_runs_of_a_tag_are_compared(quick: Command, project: Path) -> None:
    """Side by side in one file; a run and a tag are two reports."""
    for number in (1, 2):
        log = json.loads((GOLDEN / "demo.log.json").read_text())
        log |= {"run_id": f"tagged-{number}", "tag": "nightly"}
        (project / ".run_log_store" / f"tagged-{number}.json").write_text(json.dumps(log))
    assert quick("report", "--tag", "nightly", "-o", "tag.html").status == 0
    text = (project / "tag.html").read_text()
    assert [name in text for name in ("tagged-1", "tagged-2", RUNS["demo"])] == [True, True, False]
    assert re.findall(r"(?:src|href|action)=\"(?!#)|url\(|@import|https?://", text) == []
    for call in (("report", "-o", "x.html"), ("report", "a", "--tag", "b", "-o", "x.html")):
        assert quick(*call).err == "error: RUN_ID, --tag: give one of them\n"


def test_values_of_parameters_are_shown_on_demand(quick: Command, project: Path) -> None:
    """A secret by its name, or by its form, never."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    values = {"rate": "canary-rate", "api_key": "canary-key", "url": "https://me:canary-password@example.org/"}
    log["steps"]["load orders"]["attempts"][0]["input_parameters"] = {
        name: {"kind": "json", "value": value, "description": value} for name, value in values.items()
    }
    (project / "shown.json").write_text(json.dumps(log))
    shown = {}
    for options in ((), ("--reveal",)):
        assert quick("report", "shown.json", "-o", "shown.html", "--force", *options).status == 0
        shown[options] = set(re.findall(r"canary-\w+", (project / "shown.html").read_text()))
    assert shown == {(): set(), ("--reveal",): {"canary-rate"}}


def test_a_report_without_jinja_says_what_to_install(project: Path) -> None:
    """The extra is optional."""
    code = "import sys; sys.modules['jinja2'] = None; from runlog_otel.cli import main; sys.exit(main())"
    call = [sys.executable, "-c", code, "report", RUNS["demo"], "-o", "report.html"]
    done = subprocess.run(call, cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        *(2,),
        "error: a report needs a library that is not installed: pip install 'runlog-otel[ui]'\n",
    )
