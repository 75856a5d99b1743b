"""A folder of run logs: any run id that the hosts make a path of, and nothing outside of the folder."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.errors import ConfigError, RunLogFormatError, RunNotFoundError, RunOutsideError
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files
from runlog_otel.sources.port import RunLogTarget, source_from_url
from runlog_otel.stores.files import runs_in_folder
from tests.hosts.project import LOCAL, LOGS, Project

LOG: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "demo.log.json").read_text(encoding="utf-8"))
RUN_IDS = (
    "feature/x",
    "a/b/c.d",
    "two words",
    ".hidden",
    "100%",
    "%2F",
    "line\nend",
    "ü🎉",
    "x" * 240,
    "[a]*?",
    "feature",
)


def opened(folder: Path) -> Files:
    source = source_from_url(str(folder), Settings(time_zone="UTC"), os.environ.get)
    assert isinstance(source, Files)
    return source


def write(folder: Path, run_id: str, *, is_chunked: bool) -> None:
    """As the hosts do it."""
    path = folder / run_id / "RunLog.json" if is_chunked else folder / f"{run_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**LOG, "run_id": run_id}), encoding="utf-8")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["files", "chunks"])
def test_every_run_that_can_be_shown_is_listed(tmp_path: Path, is_chunked: bool) -> None:
    """Whatever its id looks like: the hosts take it for a path."""
    for run_id in RUN_IDS:
        write(tmp_path, run_id, is_chunked=is_chunked)
    source = opened(tmp_path)
    assert sorted(run.run_id for run in source.changes(0)) == sorted(RUN_IDS)
    assert [source.run(run_id).run_id for run_id in RUN_IDS] == list(RUN_IDS)
    assert source.missing([*RUN_IDS, "other", "feature/y"]) == ["other", "feature/y"]
    listed = {run.run_id for run in runs_in_folder(tmp_path, files=not is_chunked, chunks=is_chunked)}
    others = list(runs_in_folder(tmp_path, files=is_chunked, chunks=not is_chunked))
    assert (listed, others) == (set(RUN_IDS), [])


@pytest.mark.parametrize(
    "run_id", ["../secret", "a/../../secret", "..", "/etc/hostname", "//etc/hostname", "../logs/r"]
)
def test_nothing_outside_of_the_folder_is_read(tmp_path: Path, run_id: str) -> None:
    """In one line that says why, whether there is something or not."""
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder, "r", is_chunked=False)
    write(tmp_path, "secret", is_chunked=False)
    with pytest.raises(RunOutsideError, match=r"^run .* is not read: as a path it leads out of .*logs$"):
        opened(folder).document(run_id)


@pytest.mark.parametrize("run_id", ["x" * 5000, "nul\0", "", ".", "a\nb", "r.json/x", "\udce9"])
def test_an_odd_id_of_no_run_is_not_found(tmp_path: Path, run_id: str) -> None:
    """Too long for a file's name, or no name at all."""
    write(tmp_path, "r", is_chunked=False)
    with pytest.raises(RunNotFoundError):
        opened(tmp_path).run(run_id)


def test_a_folder_of_others_below_a_hidden_folder_or_a_link_is_not_searched(tmp_path: Path) -> None:
    """It may be anything, in any number; a link to a run is one."""
    folder = tmp_path / "logs"
    write(folder, "r", is_chunked=False)
    write(folder, ".git/hooks/x", is_chunked=True)
    write(folder, ".git/y", is_chunked=False)
    write(tmp_path, "elsewhere/z", is_chunked=True)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "run").symlink_to(tmp_path / "elsewhere" / "z")
    (folder / "round").symlink_to(folder)
    assert sorted(run.run_id for run in opened(folder).changes(0)) == ["r", "run"]


@pytest.mark.parametrize("name", ["fifo.json", "run/StepLog-a.json"])
def test_a_fifo_blocks_no_reader(tmp_path: Path, name: str) -> None:
    """Neither in the place of a log nor of a chunk; it is said what is wrong."""
    write(tmp_path, "run", is_chunked=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(RunLogFormatError, match=r"is not a run log: it is no regular file$"):
        opened(tmp_path).run(name.partition("/")[0].removesuffix(".json"))


@pytest.mark.parametrize(
    "content", ["", "{", "[", "[" * 100_000, "null", '{"a": ' + "9" * 5000 + "}", "\x00", "\ud800"]
)
def test_a_file_that_holds_no_log_is_said(tmp_path: Path, content: str) -> None:
    """In one line with its path."""
    (tmp_path / "r.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(RunLogFormatError) as raised:
        opened(tmp_path).run("r")
    assert str(tmp_path / "r.json") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_link_that_leads_nowhere_is_said(tmp_path: Path) -> None:
    """Or in a circle."""
    (tmp_path / "nowhere.json").symlink_to("nothing")
    (tmp_path / "circle.json").symlink_to("circle.json")
    for run_id, problem in (("nowhere", "No such file"), ("circle", "Too many levels of symbolic links")):
        with pytest.raises(RunLogFormatError, match=problem):
            opened(tmp_path).run(run_id)


def test_a_log_that_is_written_and_replaced_meanwhile_is_whole_or_damaged(tmp_path: Path) -> None:
    """A reader sees one or the other content, or says that it cannot read it."""
    contents = [json.dumps({**LOG, "run_id": "r", "tag": tag * 10_000}) for tag in "ab"]
    path = tmp_path / "r.json"
    path.write_text(contents[0])
    has_ended = threading.Event()

    def rewrite() -> None:
        for number in range(300):
            if number % 2:
                path.write_text(contents[1])  # in place, as the hosts do it
            else:
                (tmp_path / "new").write_text(contents[0])
                (tmp_path / "new").replace(path)
        has_ended.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    source, seen = opened(tmp_path), set[str]()
    while not has_ended.is_set():
        with suppress(RunLogFormatError):
            seen.add(source.run("r").tag)
    writer.join()
    assert seen <= {"a" * 10_000, "b" * 10_000}
    assert source.run("r").tag == "b" * 10_000


@pytest.mark.parametrize("url", ["file://[", "/" + "x" * 5000])
def test_a_path_that_is_none_is_said(url: str) -> None:
    """In one line that is not longer for it."""
    with pytest.raises(ConfigError, match=r"^--source: .{5,300} names no folder and no file: [^\n]+$"):
        source_from_url(url, Settings(), os.environ.get)


@pytest.mark.parametrize("where", [(), ("--source", LOGS)], ids=["config", "URL"])
def test_a_real_run_with_a_slash_is_seen_by_every_command(tmp_path: Path, where: tuple[str, ...]) -> None:
    """As `show` sees it; an id that leads out of the folder is refused by every command."""
    project = Project(tmp_path, "chunked-fs", LOCAL, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.run("sequential", "feature/x").succeeded()

    def command(*arguments: str) -> tuple[int, str]:
        done = project.python("-m", "runlog_otel", *arguments)
        return done.returncode, done.output

    dry = ("--dry-run", "--endpoint", (tmp_path / "traces.jsonl").as_uri())
    assert '"run_id": "feature/x"' in command("runs", "--json", *where)[1]
    assert "feature/x  1 executions" in command("export", "--all", *dry, *where)[1]
    read = where[1] if where else "runnable-config.yaml"
    copy = ("db", "copy", "--from", read, "--to", "sqlite:///copied.db")
    assert command(*copy) == (0, "1 copied, 0 there, 0 differs, 0 failed\n")
    (tmp_path / "x.json").write_text(json.dumps({**LOG, "run_id": "../x"}), encoding="utf-8")
    for arguments in (("show", *where), ("audit", *where), ("export", *dry, *where), copy):
        status, output = command(*arguments, "../x")
        assert (status != 0, output.count("run '../x' is not read: as a path it leads out of ")) == (True, 1)
        assert "Traceback" not in output


def test_no_store_of_a_host_writes_outside_of_its_folder(tmp_path: Path) -> None:
    """When runs are copied into it, whose ids may be anything."""
    project = Project(tmp_path, "file-system", LOCAL, {"exporter": "none"})
    store = source_from_url(f"sqlite:///{tmp_path}/runs.db", Settings(), os.environ.get)
    assert isinstance(store, RunLogTarget)
    store.prepare()
    store.put({**LOG, "run_id": "../x"})
    store.close()
    done = project.python(
        "-m", "runlog_otel", "db", "copy", "--from", "sqlite:///runs.db", "--to", "runnable-config.yaml"
    )
    assert done.output.startswith("../x: run '../x' is not read: as a path it leads out of .run_log_store\n")
    assert not (tmp_path / "x.json").exists()
