"""Executions of Constellation: its table as its guide has it, and a small server with its documented routes.

Source: Constellation's "ExecutionStorage Integration Guide" and `io.constellation.http.DashboardRoutes`.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import create_engine, text

from tests.core.runlogs.test_constellation import START_MS, execution, result

_POSTGRESQL = """CREATE TABLE executions (
  execution_id VARCHAR(255) PRIMARY KEY, dag_name VARCHAR(255) NOT NULL, script_path VARCHAR(1024),
  start_time BIGINT NOT NULL, end_time BIGINT, inputs JSONB NOT NULL DEFAULT '{}', outputs JSONB,
  status VARCHAR(50) NOT NULL, node_results JSONB NOT NULL DEFAULT '{}', dag_viz_ir JSONB,
  sample_rate DOUBLE PRECISION NOT NULL DEFAULT 1.0, source VARCHAR(50) NOT NULL)"""
_SQLITE = """CREATE TABLE executions (
  execution_id TEXT PRIMARY KEY, dag_name TEXT NOT NULL, script_path TEXT, start_time INTEGER NOT NULL,
  end_time INTEGER, inputs TEXT NOT NULL DEFAULT '{}', outputs TEXT, status TEXT NOT NULL,
  node_results TEXT NOT NULL DEFAULT '{}', sample_rate REAL NOT NULL DEFAULT 1.0, source TEXT NOT NULL)"""
_COLUMNS = {
    "execution_id": "executionId",
    "dag_name": "dagName",
    "script_path": "scriptPath",
    "start_time": "startTime",
    "end_time": "endTime",
    "inputs": "inputs",
    "outputs": "outputs",
    "status": "status",
    "node_results": "nodeResults",
    "dag_viz_ir": "dagVizIR",
    "sample_rate": "sampleRate",
    "source": "source",
}
_JSON = ("inputs", "outputs", "node_results", "dag_viz_ir")
NODES = 10_000

Execution = dict[str, Any]


def history() -> list[Execution]:
    """One that completed, one that failed, one that runs, and one of ten thousand nodes; each starts a second later."""
    wide = [{"id": f"node-{index}", "kind": "Operation", "label": f"Step {index % 10}"} for index in range(NODES)]
    edges = [{"source": f"node-{index - 1}", "target": f"node-{index}"} for index in range(1, NODES)]
    failed = (result("n1", 100, "Failed", "no customer"), result("n2", 300))
    made = [
        execution(result("n1", 100), result("n2", 300), result("n3", 5), executionId="completed"),
        execution(*failed, executionId="failed", status="Failed", outputs=None, source="API"),
        execution(result("n1", 100), executionId="running", status="Running", endTime=None, outputs=None),
        execution(
            *(result(node["id"], 2) for node in wide),
            executionId="wide",
            dagName="wide",
            dagVizIR={"nodes": wide, "edges": edges},
            endTime=START_MS + 2 * NODES,
        ),
    ]
    return [moved(found, 1000 * index) for index, found in enumerate(made)]


def moved(found: Execution, by_ms: int) -> Execution:
    """The same, so much later."""
    end_ms = found["endTime"]
    return {**found, "startTime": found["startTime"] + by_ms, "endTime": end_ms and end_ms + by_ms}


def fill_table(url: str, executions: list[Execution]) -> None:
    """Make Constellation's table of a database's dialect, unless it is there, and add executions to it."""
    engine = create_engine(url)
    is_server = engine.dialect.name == "postgresql"
    columns = [name for name in _COLUMNS if is_server or name != "dag_viz_ir"]
    values = [f"CAST(:{name} AS JSONB)" if is_server and name in _JSON else f":{name}" for name in columns]
    with engine.begin() as connection:
        if not engine.dialect.has_table(connection, "executions"):
            connection.execute(text(_POSTGRESQL if is_server else _SQLITE))
        for found in executions:
            given = {
                name: json.dumps(found[field]) if name in _JSON and found[field] is not None else found[field]
                for name, field in _COLUMNS.items()
            }
            insert = text(f"INSERT INTO executions ({', '.join(columns)}) VALUES ({', '.join(values)})")
            connection.execute(insert, {name: given[name] for name in columns})
    engine.dispose()


class ConstellationServer:
    """The executions, the requests for them, and what happens at a request."""

    def __init__(self) -> None:
        self.executions: list[Execution] = []
        self.requests: list[str] = []
        self.authorizations: set[str | None] = set()
        self.before: Callable[[str], bytes | None] = lambda _: None
        """Called with each path; bytes that it returns are sent in place of the answer, and the line is cut."""
        self.url = ""

    def answer(self, path: str) -> tuple[int, Any]:
        """Status and body of an answer."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/api/v1/executions":
            limit, offset = min(int(query.get("limit", 50)), 100), int(query.get("offset", 0))
            newest_first = sorted(self.executions, key=lambda found: -found["startTime"])
            listed = [_summary(found) for found in newest_first[offset : offset + limit]]
            return 200, {"executions": listed, "total": len(self.executions), "limit": limit, "offset": offset}
        run_id = unquote(parts.path.removeprefix("/api/v1/executions/"))
        found = next((found for found in self.executions if found["executionId"] == run_id), None)
        return (
            (200, found) if found else (404, {"error": "not_found", "message": "Execution not found", "path": run_id})
        )


@contextmanager
def constellation_server() -> Iterator[ConstellationServer]:
    """A server on the loopback interface."""
    played = ConstellationServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            played.requests.append(self.path)
            played.authorizations.add(self.headers["authorization"])
            if (cut := played.before(self.path)) is not None:
                self.wfile.write(cut)
                self.close_connection = True
                return
            status, document = played.answer(self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    played.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    names = ("executionId", "dagName", "scriptPath", "startTime", "endTime", "status", "source")
    return {name: found[name] for name in names} | {"nodeCount": len(found["nodeResults"]), "outputPreview": None}
