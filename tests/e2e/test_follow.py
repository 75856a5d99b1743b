"""`runlog-otel show --follow`: real pipelines, on a terminal and in a pipe."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from runlog_otel.stores.sql.upgrade import create_tables
from tests.e2e.terminals import SHOW_CURSOR, on_terminal
from tests.hosts.project import LOCAL, LOGS, Project, environment, kill
from tests.peers.postgres import Postgres
from tests.peers.process import PATIENCE_SECONDS, wait_until

STEPS = ("load", "each side", "train", "ship it")


class Gated:
    """A project whose pipeline waits before each step until it is let in."""

    def __init__(self, folder: Path, store: str, url: str = "sqlite:///runs.db") -> None:
        telemetry = {"endpoint": (folder / "traces.jsonl").as_uri()}
        self.project = Project(folder, store="chunked-fs", telemetry=telemetry)
        if store == "sql":
            inner = {"type": "sql", "config": {"connection_string": url}}
            wrapped = {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}}
            self.project.write_config({"run-log-store": wrapped, "pipeline-executor": LOCAL})
        self.folder = folder
        for name in ("open", "waiting"):
            (folder / name).mkdir()

    @contextmanager
    def running(self, run_id: str, **variables: str) -> "Iterator[subprocess.Popen[bytes]]":
        """Run it, from its first step to its end."""
        process = self.project.start("gated", run_id, **variables)
        try:
            assert self.is_waiting("load", process)
            yield process
        finally:
            kill(process)
            process.wait()

    def is_waiting(self, name: str, process: "subprocess.Popen[bytes]") -> bool:
        """Wait until a step waits, or its process has ended."""
        there = self.folder / "waiting" / name
        return wait_until(lambda: there.exists() or process.poll() is not None) and process.poll() is None

    def let_in(self, *names: str) -> None:
        """Let steps go on."""
        for name in names:
            (self.folder / "open" / name).touch()

    def close(self) -> None:
        """Let no step in any more."""
        for folder in ("open", "waiting"):
            for path in (self.folder / folder).iterdir():
                path.unlink()

    @contextmanager
    def followed(self, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
        """`show --follow` in a pipe."""
        process = subprocess.Popen(
            [sys.executable, "-m", "runlog_otel", "show", "--follow", *arguments],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(params=["chunked-fs", "sql"])
def gated(request: pytest.FixtureRequest, tmp_path: Path) -> Gated:
    return Gated(tmp_path, request.param)


def _until(lines: IO[str], *words: str) -> str:
    """Read up to the line that has all words."""
    for line in lines:
        if all(word in line for word in words):
            return line
    raise AssertionError(f"there is no line with {words}")


@pytest.mark.canary
def test_a_run_is_followed_in_a_pipe(gated: Gated) -> None:
    """A line for each change, as it comes, without a control character; the exit status is that of the run."""
    _follow_in_a_pipe(gated)


def test_a_run_in_postgresql_is_followed(postgres: Postgres, tmp_path: Path) -> None:
    """As in any other store."""
    url = postgres.create_database()
    create_tables(url)
    _follow_in_a_pipe(Gated(tmp_path, "sql", url))


def _follow_in_a_pipe(gated: Gated) -> None:
    with gated.running("first") as pipeline, gated.followed("first") as follower:
        out = follower.stdout
        assert out is not None
        assert "first  gated" in out.readline()
        _until(out, "load  running")
        gated.let_in("load")
        _until(out, "load  success in")
        _until(out, "each side.left.work  running")
        gated.let_in("work left")
        _until(out, "each side.left  success in")
        gated.let_in("all")
        rest, err = follower.communicate(timeout=PATIENCE_SECONDS)
        assert (follower.returncode, err, pipeline.wait(PATIENCE_SECONDS)) == (0, "", 0)
        lines = rest.splitlines()
        assert lines[-2].startswith("first  gated  success in ")
        assert lines[-1].startswith("trace ")
        assert rest.replace("\n", "").isprintable()


def test_a_run_is_followed_on_a_terminal(gated: Gated) -> None:
    """Steps that are done, run and are to come; the second run knows how long the first one took."""
    gated.let_in("all")
    gated.project.run("gated", "earlier").succeeded()
    gated.close()
    with gated.running("second"), on_terminal(gated.folder, "show", "-f", "second") as terminal:
        terminal.wait_for(
            "second  gated  running", "load…running", "each side…queued", "train…queued", "ship it…queued"
        )
        gated.let_in("load")
        frame = terminal.wait_for(
            "load…success", "each side…running…0 of 2 done, 1 running, 1 queued", "ship it…queued"
        )
        assert [line.split()[0] for line in frame[1:7]] == ["load", "each", "left", "right", "train", "ship"]
        assert "time left unknown" not in frame[0]
        gated.let_in("all")
        assert terminal.status() == 0
        assert terminal.text.endswith(f"trace {terminal.text.rpartition('trace ')[2]}")
        assert SHOW_CURSOR in terminal.text
        last = terminal.frames[-1]
        assert last[0].startswith("second  gated  success in ")
        assert [line.split()[-1] for line in last[1:5]] == ["success"] * 4
    assert all(len(line) <= 80 for frame in terminal.frames for line in frame)


def test_a_failed_run_ends_with_1_and_says_why(gated: Gated) -> None:
    """With the end of the traceback; nothing in the log controls the terminal."""
    (gated.folder / "broken").touch()
    with (
        gated.running("bad", LAST_STEP="ship \x1b]0;it\x07 [red]"),
        on_terminal(gated.folder, "show", "-f") as terminal,
    ):
        terminal.wait_for("bad  gated  running", "load…running")
        gated.let_in("all")
        assert terminal.status() == 1
    last = terminal.frames[-1]
    assert last[0].startswith("bad  gated  failure in ")
    assert any("failure" in line and "[red]" in line and r"\x1b]0;it\x07" in line for line in last)
    assert any(r"ValueError: \x1b]0;owned\x07\x1b[2J [bold]markup[/bold] \u202eesrever\u200b" in line for line in last)
    for hostile in ("\x1b]0;", "\x07", "\x1b[2J", "\u202e", "\u200b"):
        assert hostile not in terminal.text
    with gated.followed("bad") as again:
        out, _ = again.communicate(timeout=PATIENCE_SECONDS)
        assert again.returncode == 1
        assert out.splitlines()[0].startswith("bad  gated  failure in ")
        assert out.replace("\n", "").isprintable()


def test_ctrl_c_leaves_the_run_alone(gated: Gated) -> None:
    """The follower ends with 130, without a traceback, and gives the cursor back; the run goes on to its end."""
    with gated.running("calm") as pipeline, on_terminal(gated.folder, "show", "-f", "calm") as terminal:
        terminal.wait_for("load…running")
        terminal.press(b"\x03")
        assert terminal.status() == 130
        assert "Traceback" not in terminal.text
        assert "calm goes on" in terminal.text
        assert SHOW_CURSOR in terminal.text
        assert pipeline.poll() is None
        with gated.followed("calm") as piped:
            assert piped.stdout is not None
            _until(piped.stdout, "load  running")
            piped.send_signal(signal.SIGINT)
            assert piped.communicate(timeout=PATIENCE_SECONDS)[1] == "calm goes on\n"
            assert piped.returncode == 130
        gated.let_in("all")
        assert pipeline.wait(PATIENCE_SECONDS) == 0


def test_sigterm_gives_the_cursor_back(tmp_path: Path) -> None:
    """And ends with the usual status."""
    gated = Gated(tmp_path, "chunked-fs")
    with gated.running("stopped"), on_terminal(gated.folder, "show", "-f", "stopped") as terminal:
        terminal.wait_for("load…running")
        terminal.end(signal.SIGTERM)
        assert terminal.status() == 128 + signal.SIGTERM
        assert SHOW_CURSOR in terminal.text


def test_a_retry_is_followed(tmp_path: Path) -> None:
    """As an execution of its own, although the run's status is still that of the one before."""
    gated = Gated(tmp_path, "chunked-fs")
    (gated.folder / "broken").touch()
    gated.let_in("all")
    assert gated.project.run("gated", "again").returncode == 1
    (gated.folder / "broken").unlink()
    gated.close()
    arguments = [sys.executable, "-m", "runnable.cli", "retry", "again"]
    with (gated.folder / "retry.out").open("wb") as output:
        retry = subprocess.Popen(arguments, cwd=gated.folder, env=environment(), stdout=output, stderr=output)
    try:
        assert gated.is_waiting("ship", retry)
        with gated.followed("again") as follower:
            assert follower.stdout is not None
            assert "again  gated, execution 2  running" in follower.stdout.readline()
            _until(follower.stdout, "ship it  running")
            gated.let_in("all")
            out, _ = follower.communicate(timeout=PATIENCE_SECONDS)
            assert follower.returncode == 0
            assert "again  gated, execution 2  success in " in out
    finally:
        retry.kill()
        retry.wait()


def test_a_process_that_died_is_told(tmp_path: Path) -> None:
    """First that nothing is written; a run that was not written for a day counts as abandoned, as in `serve`."""
    gated = Gated(tmp_path, "chunked-fs")
    with gated.running("dead"):
        pass
    hour_ago = gated.folder.stat().st_mtime - 3_600
    for path in (gated.folder / LOGS / "dead").iterdir():
        os.utime(path, (hour_ago, hour_ago))
    with on_terminal(gated.folder, "show", "-f", "dead", columns=120) as terminal:
        terminal.wait_for(
            "not written for 1h00m00s; if its process has died: runlog-otel export dead --as cancellation"
        )
        terminal.press(b"\x03")
        assert terminal.status() == 130
    with gated.followed("dead", "--abandoned-after", "30m") as follower:
        out, _ = follower.communicate(timeout=PATIENCE_SECONDS)
        assert follower.returncode == 1
        assert "it counts as abandoned" in out.splitlines()[-2]


def test_json_waits_for_the_end(tmp_path: Path) -> None:
    """And is that of `show`."""
    gated = Gated(tmp_path, "chunked-fs")
    with gated.running("machine"), gated.followed("machine", "--json") as follower:
        gated.let_in("all")
        out, err = follower.communicate(timeout=PATIENCE_SECONDS)
        assert (follower.returncode, err) == (0, "")
    shown = gated.project.python("-m", "runlog_otel", "show", "machine", "--json").succeeded()
    assert json.loads(out) == json.loads(shown.output)
