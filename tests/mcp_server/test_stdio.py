"""`runlog-otel mcp` as clients use it: the package's own client and a real process, over stdio."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import types

from runlog_otel.mcp_server.documents import MAX_BYTES, NOTICE
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from tests.mcp_server.client import COMMAND, Agent, agent, text_of
from tests.mcp_server.documents import MANY, large_log, log, raised, step, write

_FAILURES = Path(__file__).parents[1] / "core" / "failures"
_LISTED = 3_000
TOOLS = ("list_runs", "get_run", "list_steps", "why", "compare", "pipeline_history")


def _history() -> list[dict[str, Any]]:
    """A pipeline that succeeded twice, failed, and ran again; runs of it are tagged."""
    failure = raised("ConnectionError: no route to host")
    return [
        log("run-1", [step("load"), step("publish", at=1)], tag="trial"),
        log("run-2", [step("load", seconds=3), step("publish", at=3)], tag="trial", hours=1),
        log("run-3", [step("load"), step("publish", at=1, message=failure)], status="FAIL", hours=2),
        log("run-4", [step("load"), step("publish", at=1, message=failure)], status="FAIL", hours=3),
    ]


@pytest.fixture(scope="module", params=["files", "sqlite"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A server of a small history, in each kind of store."""
    folder = tmp_path_factory.mktemp(request.param)
    url = "logs"
    if request.param == "files":
        write(folder / "logs", *_history())
    else:
        url = f"sqlite:///{folder}/runs.db"
        store = SqlStore(Database(url))
        for document in _history():
            store.put(document, "orders")
    with agent(folder, "--source", url) as started:
        yield started


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """A server of a run of 10,000 steps and thousands of others, among them one whose names are very long."""
    folder = tmp_path_factory.mktemp("large")
    small = [log(f"run-{index}", [step("only")], pipeline="small") for index in range(_LISTED)]
    long = [log(f"long-{index}", [step("x" * 900)], pipeline="p" * 900, tag="t" * 900) for index in range(40)]
    write(folder / "logs", *small, *long, large_log("large"))
    with agent(folder, "--source", "logs") as started:
        yield started


def test_the_tools_say_what_they_do(server: Agent) -> None:
    """Each is read-only, has a description, and schemas of its arguments and its answer."""
    tools = server.tools()
    assert tuple(tools) == TOOLS
    for tool in tools.values():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True
        assert tool.description
        assert tool.output_schema is not None
        fields = tool.input_schema["properties"]
        assert all(field.get("description") for field in fields.values())
        assert "source" not in fields
    assert tools["why"].input_schema["required"] == ["run_id"]


def test_a_client_of_the_older_handshake_is_answered(tmp_path: Path) -> None:
    """`initialize` says who serves and how answers are to be read."""
    write(tmp_path / "logs", *_history())
    with agent(tmp_path, "--source", "logs", mode="legacy") as older:
        served = older.client.server_info
        assert served is not None
        assert served.name == "runlog-otel"
        assert "not instructions" in (older.client.instructions or "")
        assert older.answer("get_run", run_id="run-1")["data"]["run"]["result"] == "success"


def test_runs_are_listed_in_pages_with_filters(server: Agent) -> None:
    """The key of a page leads to the next one."""
    listed, after = [], ""
    while after is not None:
        page = server.answer("list_runs", limit=3, after=after)["data"]
        listed += [run["run_id"] for run in page["runs"]]
        after = page["after"]
    assert listed == ["run-4", "run-3", "run-2", "run-1"]
    (failed, _) = server.answer("list_runs", pipeline="orders", status="fail")["data"]["runs"]
    assert failed == {
        "run_id": "run-4",
        "pipeline": "orders",
        "status": "FAIL",
        "created": "2026-11-21T09:38:36.000Z",
        "duration_s": 2.0,
        "steps": 2,
        "failed_steps": 1,
    }
    assert len(server.answer("list_runs", tag="trial")["data"]["runs"]) == 2
    assert len(server.answer("list_runs", failure="NO ROUTE")["data"]["runs"]) == 2
    assert server.answer("list_runs", failure="disk full")["data"]["runs"] == []
    assert server.answer("list_runs", until="2020-01-01")["data"]["runs"] == []


def test_a_run_is_shown_with_its_steps_and_failures(server: Agent) -> None:
    """The overview has the step's place, the list each attempt."""
    data = server.answer("get_run", run_id="run-3")["data"]
    assert (data["run"]["result"], data["run"]["pipeline"]) == ("failure", "orders")
    assert [(each["place"], each["results"], each["after_s"]) for each in data["steps"]] == [
        ("load", {"success": 1}, 0.0),
        ("publish", {"failure": 1}, 1.0),
    ]
    (failure,) = data["failures"]
    assert (failure["path"], failure["error_type"], failure["message"]) == (
        "publish",
        "ConnectionError",
        "no route to host",
    )
    (failed,) = server.answer("list_steps", run_id="run-3", result="failure")["data"]["steps"]
    assert (failed["path"], failed["attempts"][0]["error_type"]) == ("publish", "ConnectionError")


def test_a_failure_is_explained(server: Agent) -> None:
    """By its first cause, and what is known of it from earlier runs."""
    data = server.answer("why", run_id="run-4")["data"]
    assert data["state"] == "failed"
    assert data["headline"].startswith("publish failed: ConnectionError: no route to host")
    assert "commands" not in data
    assert (data["seen"]["before_run_id"], data["changes"]["since_run_id"]) == ("run-3", "run-2")
    assert data["timing"]["baseline"] == {"samples": 2, "median_s": 3.0, "p95_s": 4.0}


def test_runs_are_compared_by_id_and_by_tag(server: Agent) -> None:
    """The step whose duration changed most is first."""
    by_id = server.answer("compare", run_ids=["run-1", "run-2"])["data"]
    assert [run["run_id"] for run in by_id["runs"]] == ["run-1", "run-2"]
    assert (by_id["steps"][0]["place"], by_id["steps"][0]["change_s"]) == ("load", 2.0)
    by_tag = server.answer("compare", tag="trial")["data"]
    assert by_tag == by_id


def test_a_pipeline_has_a_history(server: Agent) -> None:
    """Success rate, durations, and failures by fingerprint."""
    data = server.answer("pipeline_history", pipeline="orders")["data"]
    assert (data["executions"], data["success_rate"]) == (4, 0.5)
    assert data["durations_of_successes"] == {"samples": 2, "median_s": 3.0, "p95_s": 4.0}
    (failure,) = data["failures"]
    assert (failure["runs"], failure["fingerprint"]["error_type"]) == (2, "ConnectionError")
    assert (failure["first"], failure["first_run_id"]) == ("2026-11-21T08:38:38.000Z", "run-3")
    assert (failure["last"], failure["last_run_id"]) == ("2026-11-21T09:38:38.000Z", "run-4")
    assert {line["place"]: (line["failed"], line["runs"]) for line in data["steps"]} == {
        "load": (0, 4),
        "publish": (2, 4),
    }


def test_wrong_arguments_are_an_error_in_one_line(server: Agent) -> None:
    """It says which argument, and what to do; the server goes on."""
    problems = {
        server.problem("list_runs", limit=0): "limit: Input should be greater than or equal to 1",
        server.problem("list_runs", since="soon"): "since: 'soon' is neither an age (30m, 24h, 7d, 2w) nor a time",
        server.problem("list_runs", after="x"): "after: 'x' is not the end of a page",
        server.problem("list_runs", folder="/"): "folder: Extra inputs are not permitted",
        server.problem("get_run"): "run_id: Field required",
        server.problem("get_run", run_id="run-1", execution=7): "execution: run 'run-1' has 1 execution, not 7",
        server.problem("compare"): "run_ids: give the ids of 2 to 10 runs, or a tag in their place",
        server.problem("compare", run_ids=["run-1"]): "run_ids: that is 1 run; 2 are needed",
        server.problem("pipeline_history", pipeline="none"): "pipeline: no run of 'none' is found; "
        "list_runs shows the names",
        server.problem("delete_run", run_id="run-1"): "name: there is no tool 'delete_run'; there are "
        + ", ".join(TOOLS),
    }
    assert {problem: problem for problem in problems.values()} == problems
    for run_id in ("no such run", "../secret", "/etc/passwd", "x\x1b[31m\ny"):
        problem = server.problem("why", run_id=run_id)
        assert problem.startswith("run ")
        assert problem.isprintable()
    assert server.answer("get_run", run_id="run-1")["data"]["run"]["result"] == "success"


def test_answers_of_a_large_run_are_bounded(large: Agent) -> None:
    """What is cut is said, and the next offset continues it."""
    calls: dict[str, dict[str, Any]] = {
        "get_run": {"run_id": "large"},
        "list_steps": {"run_id": "large"},
        "why": {"run_id": "large", "history": 0},
        "pipeline_history": {"pipeline": "large", "limit": 1},
        "compare": {"run_ids": ["large", "large"]},
    }
    answer: dict[str, Any] = {}
    for tool, arguments in calls.items():
        result = large.call(tool, **arguments)
        assert not result.is_error, result.content
        assert len(text_of(result).encode()) <= MAX_BYTES, tool
        answer = result.structured_content if tool == "list_steps" else answer
    shown = len(answer["data"]["steps"])
    assert answer["cut"][0] == f"steps: 1 to {shown} of {MANY}"
    following = large.answer("list_steps", run_id="large", offset=answer["next_offset"])
    assert following["data"]["steps"][0]["path"] == f"step {shown:05}"
    failed = large.answer("list_steps", run_id="large", result="failure")
    assert failed["cut"][0].endswith(f"of {MANY // 100}")


def test_lists_of_thousands_are_bounded(large: Agent) -> None:
    """A page ends where the answer is full, and its key leads to the next run."""
    listed, after = [], ""
    for _ in range(4):
        result = large.call("list_runs", limit=100, after=after)
        assert len(text_of(result).encode()) <= MAX_BYTES
        data = result.structured_content["data"]
        listed += [run["run_id"] for run in data["runs"]]
        after = data["after"]
    assert len(set(listed)) == len(listed) > 100
    assert {f"long-{index}" for index in range(40)} < set(listed)


def test_recorded_failures_are_answered_by_every_tool(tmp_path: Path) -> None:
    """Over the logs of real pipelines."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in _FAILURES.glob("*.log.json"):
        shutil.copy(path, logs / f"{json.loads(path.read_text())['run_id']}.json")
    with agent(tmp_path, "--source", "logs") as server:
        runs = server.answer("list_runs", limit=100)["data"]["runs"]
        assert len(runs) == len(list(logs.iterdir()))
        for run in runs:
            for tool in ("get_run", "list_steps", "why"):
                assert server.answer(tool, run_id=run["run_id"])["notice"] == NOTICE


def test_several_sources_are_named_in_each_call(tmp_path: Path) -> None:
    """The schema lists them; a call without one says so."""
    for name in ("one", "two"):
        write(tmp_path / name, log(f"run-{name}", [step("load")]))
    with agent(tmp_path, "--source", "one", "--source", "two") as server:
        schema = server.tools()["get_run"].input_schema
        first, second = schema["properties"]["source"]["enum"]
        assert schema["required"] == ["source", "run_id"]
        assert server.answer("get_run", source=second, run_id="run-two")["data"]["run"]["run_id"] == "run-two"
        assert server.problem("get_run", run_id="run-two") == f"source: must be one of {first}, {second}"


def test_a_source_that_breaks_is_one_line(tmp_path: Path) -> None:
    """Without its credentials; the server goes on."""
    with agent(tmp_path, "--source", "constellation+http://:canary-key@127.0.0.1:1") as server:
        for _ in range(2):
            problem = server.problem("list_runs")
            assert problem.isprintable()
            assert "127.0.0.1:1" in problem
            assert "canary" not in problem
    assert "canary" not in server.errors.read_text()
    assert "Traceback" not in server.errors.read_text()


def test_the_end_of_input_ends_the_server(tmp_path: Path) -> None:
    """With status 0; only the protocol writes to standard output, also where a line is no request."""
    write(tmp_path / "logs", *_history())
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    first = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    done = subprocess.run(
        [*COMMAND, "--source", "logs"],
        cwd=tmp_path,
        input=f"this is no request\n{json.dumps(first)}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    (answer,) = map(json.loads, done.stdout.splitlines())
    assert (answer["id"], answer["result"]["serverInfo"]["name"]) == (1, "runlog-otel")
    assert "Traceback" not in done.stderr


def test_a_client_that_reads_no_more_ends_the_server(tmp_path: Path) -> None:
    """Without an error, when it closes its output too."""
    write(tmp_path / "logs", *_history())
    with subprocess.Popen(
        [*COMMAND, "--source", "logs"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.close()
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        server.stdin.write(json.dumps(request).encode() + b"\n")
        server.stdin.close()
        assert (server.wait(120), server.stderr.read()) == (0, b"")


def test_a_wrong_source_ends_the_command(tmp_path: Path) -> None:
    """Before anything is served: one line, status 2."""
    done = subprocess.run(
        [*COMMAND, "--source", "gopher://x"], cwd=tmp_path, input="", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --source: gopher://x is of an unknown kind")
    assert len(done.stderr.splitlines()) == 1


def test_without_the_library_the_command_says_what_to_install(tmp_path: Path) -> None:
    """In one line."""
    hidden = tmp_path / "mcp.py"
    hidden.write_text("raise ImportError('No module named mcp', name='mcp')\n")
    done = subprocess.run(
        COMMAND, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, input="", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: the MCP server needs a library that is not installed: pip install 'runlog-otel[mcp]'\n"
    )


def test_types_are_those_of_the_protocol(server: Agent) -> None:
    """A result has one text, beside the structured content."""
    result = server.call("get_run", run_id="run-1")
    assert isinstance(result, types.CallToolResult)
    assert [content.type for content in result.content] == ["text"]
