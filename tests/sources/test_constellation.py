"""Constellation's history is read from its table, in both dialects, and from its server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from runlog_otel.core.model import StoredRun
from runlog_otel.core.runlogs.constellation import run_from_execution
from runlog_otel.core.spans import spans_from_run
from runlog_otel.errors import RunLogFormatError, RunNotFoundError, SourceError, StoreError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import Source, source_from_url
from tests.core.runlogs.test_constellation import START_MS, execution, result
from tests.sources.histories import NODES, ConstellationServer, constellation_server, fill_table, history, moved

LISTED = [
    StoredRun("completed", (START_MS + 500) * 10**6),
    StoredRun("failed", (START_MS + 1500) * 10**6),
    StoredRun("running", (START_MS + 2000) * 10**6, is_final=False),
    StoredRun("wide", (START_MS + 2 * NODES + 3000) * 10**6),
]


@pytest.fixture
def server() -> Iterator[ConstellationServer]:
    with constellation_server() as played:
        yield played


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/constellation.db"
    return str(request.getfixturevalue("postgres").create_database())


Open = Callable[..., Source]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes sources, which are closed with the test."""
    with ExitStack() as closed:

        def make(url: str, **environ: str) -> Source:
            source = source_from_url(f"constellation+{url}", Settings(), environ.get)
            closed.callback(source.close)
            return source

        yield make


def ids(source: Source, since_ns: int = 0) -> list[str]:
    return [run.run_id for run in source.changes(since_ns)]


def test_a_table_tells_what_the_executions_are(opened: Open, database: str) -> None:
    """Running, completed, failed, truncated, and of ten thousand nodes; SQLite's table has no graph."""
    executions = history()
    fill_table(database, executions)
    source = opened(database)
    assert list(source.changes(0)) == LISTED
    assert list(source.changes(LISTED[2].changed_ns)) == LISTED[2:]
    has_graph = database.startswith("postgresql")
    for found in executions:
        wanted = run_from_execution(found if has_graph else {**found, "dagVizIR": None})
        assert source.run(found["executionId"]) == wanted
    (trace,) = spans_from_run(source.run("wide"))
    assert len(trace.spans) == 2 + 2 * NODES
    with pytest.raises(RunNotFoundError, match="run 'other' is not in constellation"):
        source.run("other")


def test_a_long_table_is_listed_in_pages(opened: Open, database: str) -> None:
    """Executions that ended in the same millisecond stand on both sides of a page's end."""
    many = [execution(executionId=f"{index:04}", endTime=START_MS + index // 600) for index in range(2500)]
    fill_table(database, many)
    assert ids(opened(database)) == [found["executionId"] for found in many]


def test_a_table_that_is_not_there_is_said(opened: Open, database: str, tmp_path: Path) -> None:
    """With the way to name another one; a file that is not there is not made."""
    fill_table(database, [])
    with pytest.raises(StoreError, match=r"the table is not there; name the right one: \?table=NAME"):
        ids(opened(f"{database}?table=other"))
    with pytest.raises(StoreError, match="the file does not exist"):
        ids(opened(f"sqlite:///{tmp_path}/none.db"))
    assert not (tmp_path / "none.db").exists()


def test_a_row_that_is_no_execution_is_refused(opened: Open, database: str) -> None:
    """In one line with its id."""
    fill_table(database, [execution(executionId="x", status="Paused")])
    with pytest.raises(RunLogFormatError, match="execution 'x' is not a run log: 'Paused' is no status"):
        opened(database).run("x")


def test_a_damaged_row_hides_no_other(opened: Open, tmp_path: Path) -> None:
    """SQLite keeps anything in any column: the row is listed, in pages too, and reading it says what is wrong."""
    url = f"sqlite:///{tmp_path}/c.db"
    odd = {"endTime": "2026-03-01 10:00"}
    fill_table(url, [execution(executionId=f"odd {index:04}", **odd) for index in range(1001)])
    fill_table(url, [execution(executionId="deep", endTime=START_MS + 600), execution(executionId="good")])
    nested = "[" * 100_000
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE executions SET inputs = :it WHERE execution_id = 'deep'"), {"it": nested})
    engine.dispose()
    source = opened(url)
    assert ids(source) == ["good", "deep", *(f"odd {index:04}" for index in range(1001))]
    with pytest.raises(RunLogFormatError, match=r"execution 'odd 0000'.*2026-03-01 10:00"):
        source.run("odd 0000")
    with pytest.raises(RunLogFormatError, match=r"execution 'deep' in constellation"):
        source.run("deep")


def test_a_damaged_execution_of_a_server_hides_no_other(opened: Open, server: ConstellationServer) -> None:
    """It is in each list, and reading it says what is wrong."""
    server.executions = [execution(executionId="good"), moved(execution(executionId="odd"), 9)]
    listed = server.answer

    def damaged(path: str) -> tuple[int, Any]:
        status, document = listed(path)
        for found in document.get("executions", [document]):
            if found["executionId"] == "odd":
                found["startTime"] = "yesterday"
        return status, document

    server.answer = damaged  # type: ignore[method-assign]
    source = opened(server.url)
    assert (ids(source), ids(source, (START_MS + 10**6) * 10**6)) == (["good", "odd"], ["odd"])
    with pytest.raises(RunLogFormatError, match="yesterday"):
        source.run("odd")


def test_a_running_execution_that_was_deleted_is_missing(opened: Open, database: str) -> None:
    """One statement asks for all."""
    fill_table(database, [execution(executionId="r", status="Running", endTime=None)])
    source = opened(database)
    assert set(source.missing(["r", "gone", "x/y"])) == {"gone", "x/y"}
    assert set(source.missing([])) == set()


def test_a_server_is_asked_for_running_executions_that_it_does_not_list(
    opened: Open, server: ConstellationServer
) -> None:
    """What runs is in each list."""
    server.executions = [execution(executionId=run_id, status="Running", endTime=None) for run_id in ("r", "s")]
    source = opened(server.url)
    source.changes(0)
    del server.executions[0]
    source.changes((START_MS + 10**6) * 10**6)
    server.requests.clear()
    assert (set(source.missing(["r", "s"])), server.requests) == ({"r"}, ["/api/v1/executions/r"])


def test_a_server_tells_what_the_executions_are(opened: Open, server: ConstellationServer) -> None:
    """The same runs as from a table with graphs."""
    server.executions = history()
    source = opened(server.url)
    assert list(source.changes(0)) == LISTED
    assert [source.run(found["executionId"]) for found in server.executions] == list(
        map(run_from_execution, server.executions)
    )
    with pytest.raises(RunNotFoundError, match="run 'a/b' is not in constellation"):
        source.run("a/b")


def test_executions_that_arrive_or_go_between_two_pages_hide_none(opened: Open, server: ConstellationServer) -> None:
    """New ones move the others to the next page, deleted ones to the page that was read already."""
    server.executions = [moved(execution(executionId=f"{index:03}"), index) for index in range(350)]
    wanted = {found["executionId"] for found in server.executions}
    gone = {"349", "348", "347"}

    def change(path: str) -> None:
        count = len(server.requests)
        if count == 2:
            server.executions += [moved(execution(executionId=f"new {index}"), 9000 + index) for index in range(7)]
        if count == 3:
            server.executions = [found for found in server.executions if found["executionId"] not in gone]

    server.before = change
    listed = ids(opened(server.url))
    assert len(listed) == len(set(listed))
    assert wanted <= set(listed)


def test_a_later_list_is_read_no_further_than_needed(opened: Open, server: ConstellationServer) -> None:
    """To the oldest that the list before had to tell, or that ran then: it may have ended now."""
    server.executions = [moved(execution(executionId=f"{index:03}"), 1000 * index) for index in range(500)]
    slow = execution(executionId="slow", status="Running", endTime=None)
    server.executions[250] = moved(slow, 250_000)
    source = opened(server.url)
    assert len(ids(source)) == 500
    server.executions[250] = moved(execution(executionId="slow", endTime=START_MS + 900_000), 250_000)
    for since_ms, wanted, requests in (
        (499_000, ["499", "slow"], 6),
        (499_000, ["499", "slow"], 3),
        (1_150_001, [], 3),
        (1_150_001, [], 1),
    ):
        server.requests.clear()
        assert ids(source, (START_MS + since_ms) * 10**6) == wanted
        assert len(server.requests) == requests


@pytest.mark.parametrize(
    "cut", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"], ids=["at once", "in between"]
)
def test_a_server_that_dies_between_two_pages_tells_nothing(
    opened: Open, server: ConstellationServer, cut: bytes
) -> None:
    """The list is whole or there is none: half of it would be taken for all."""
    server.executions = [moved(execution(executionId=f"{index:03}"), index) for index in range(250)]
    server.before = lambda _: cut if len(server.requests) >= 2 else None
    source = opened(server.url)
    with pytest.raises(SourceError, match=r"^constellation\+http://127.0.0.1:\d+: cannot be reached: "):
        source.changes(0)
    server.before = lambda _: None
    assert len(ids(source)) == 250


def test_a_server_that_limits_its_requests_is_waited_for(opened: Open, server: ConstellationServer) -> None:
    """As long as it says, a few times; one that goes on with it is told."""
    server.executions = [execution(executionId="r")]
    busy = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    server.before = lambda _: busy if len(server.requests) % 3 else None
    source = opened(server.url)
    assert (ids(source), source.run("r").run_id, len(server.requests)) == (["r"], "r", 6)
    server.before = lambda _: busy
    with pytest.raises(SourceError, match="answers HTTP 429 to GET /api/v1/executions/r"):
        source.run("r")
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((500, {}), "answers HTTP 500 to GET /api/v1/executions"),
        ((404, {}), "what it answers is no list of executions"),
        ((200, {"executions": [{"startTime": 1}], "total": 1}), "what it answers is no list of executions"),
    ],
)
def test_an_answer_that_is_none_is_said(
    opened: Open, server: ConstellationServer, monkeypatch: pytest.MonkeyPatch, answer: object, problem: str
) -> None:
    """In one line with the server."""
    monkeypatch.setattr(server, "answer", lambda _: answer)
    with pytest.raises(SourceError, match=problem):
        opened(server.url).changes(0)


def test_a_key_comes_from_the_environment_and_is_shown_nowhere(opened: Open, server: ConstellationServer) -> None:
    """As a bearer token, or with a user as a login; `where` has neither."""
    host = server.url.removeprefix("http://")
    keyed = opened(f"http://:${{KEY}}@{host}", KEY="k%2Fey")
    login = opened(f"http://me:${{KEY}}@{host}", KEY="word")
    assert (ids(keyed), ids(login)) == ([], [])
    assert server.authorizations == {"Bearer k/ey", "Basic bWU6d29yZA=="}
    assert keyed.where == login.where == f"constellation+http://{host}"


def test_an_execution_that_the_table_updates_is_listed_again(opened: Open, database: str) -> None:
    """When it ends, its end is its change."""
    fill_table(database, [execution(result("n1", 1), executionId="r", status="Running", endTime=None)])
    source = opened(database)
    assert list(source.changes(0)) == [StoredRun("r", START_MS * 10**6, is_final=False)]
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE executions SET status = 'Failed', end_time = :at"), {"at": START_MS + 9})
    engine.dispose()
    assert list(source.changes(START_MS * 10**6 + 1)) == [StoredRun("r", (START_MS + 9) * 10**6)]
