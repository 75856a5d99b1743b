"""Three sources of different kinds, served at once: totals exact in a real Prometheus, traces in a real Jaeger."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.core import identity, semconv
from runlog_otel.core.points import Point
from runlog_otel.core.spans import spans_from_run
from runlog_otel.settings import Settings
from runlog_otel.sources.port import source_from_url
from tests.core.logs import points_from_run
from tests.hosts.project import environment, kill, run_python
from tests.peers.fixtures import StartPrometheus
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.process import wait_until
from tests.peers.prometheus import Prometheus
from tests.sources.db_logs import GOLDEN, DbLogTable, fill_with_anomalies
from tests.sources.histories import ConstellationServer, constellation_server, fill_table, history

_DIALECTS = ("sqlite", "postgres")
Totals = Counter[tuple[str, str]]


@pytest.fixture
def server() -> Iterator[ConstellationServer]:
    with constellation_server() as played:
        yield played


@pytest.fixture(params=_DIALECTS)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URLs of a `db_log` with its anomalies, and of Constellation's table, in two databases."""

    def empty(name: str) -> str:
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.db"
        return str(request.getfixturevalue("postgres").create_database())

    magnus, constellation = empty("magnus"), empty("constellation")
    table = DbLogTable(magnus)
    fill_with_anomalies(table)
    # A Jaeger has the traces of all tests, and without a graph other spans follow.
    fill_table(
        constellation, [found | {"executionId": f"{found['executionId']} {request.param}"} for found in history()]
    )
    yield f"db-log+{magnus}", f"constellation+{constellation}"
    table.close()


def totals_of(urls: list[str]) -> tuple[Totals, dict[str, int]]:
    """What Prometheus must have of runs and steps, by pipeline or result; and the spans of each complete trace."""
    totals: Totals = Counter()
    traces: dict[str, int] = {}
    for url in urls:
        source = source_from_url(url, Settings(), lambda _: None)
        for stored in source.changes(0):
            run = source.run(stored.run_id)
            for execution in points_from_run(run):
                totals.update(_counted(execution.points))
            traces |= {t.execution.trace_id.hex(): len(t.spans) for t in spans_from_run(run) if t.is_complete}
        source.close()
    return totals, traces


def _counted(points: tuple[Point, ...]) -> Iterator[tuple[str, str]]:
    for point in points:
        labels = dict(point.labels)
        if point.metric == semconv.RUN_DURATION:
            yield "runs", labels[semconv.PIPELINE_NAME]
        elif point.metric == semconv.STEP_RESULTS:
            yield "steps", labels[semconv.TASK_RESULT]


def scraped(prometheus: Prometheus) -> Totals:
    runs = prometheus.query("sum by (cicd_pipeline_name) (cicd_pipeline_run_duration_seconds_count) > 0")
    steps = prometheus.query("sum by (cicd_pipeline_task_run_result) (runlog_step_results_total) > 0")
    totals: Totals = Counter()
    for row in runs:
        totals["runs", row["metric"]["cicd_pipeline_name"]] = int(row["value"][1])
    for row in steps:
        totals["steps", row["metric"]["cicd_pipeline_task_run_result"]] = int(row["value"][1])
    return totals


def test_three_sources_are_served_at_once(
    tmp_path: Path,
    databases: tuple[str, str],
    server: ConstellationServer,
    start_prometheus: StartPrometheus,
    jaeger: Jaeger,
) -> None:
    """A `db_log`, a Constellation server that dies in between, a folder; after a restart the totals are the same."""
    server.executions = [{**found, "dagName": f"http {found['dagName']}"} for found in history()]
    server.before = lambda path: b"" if path.endswith("/wide") and len(server.requests) < 9 else None
    (tmp_path / "logs").mkdir()
    for name in ("demo", "retried"):
        document = json.loads((GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))
        shutil.copy(GOLDEN / f"{name}.log.json", tmp_path / "logs" / f"{document['run_id']}.json")
    urls = [databases[0], f"constellation+{server.url}", (tmp_path / "logs").as_uri()]
    address = f"{HOST}:{free_ports(1)[0]}"
    scrape = {"job_name": "runlog", "scrape_interval": "1s", "static_configs": [{"targets": [address]}]}
    prometheus = start_prometheus({"scrape_configs": [scrape]})
    options = [option for url in urls for option in ("--source", url)]
    for _ in range(2):
        with served(tmp_path, address, *options, "--resend", "none", "--abandoned-after", "999w"):
            totals, _traces = totals_of(urls)
            assert wait_until(lambda: scraped(prometheus) == totals), (scraped(prometheus), totals)  # noqa: B023
    assert (totals["runs", "http enrich"], totals["runs", "http wide"]) == (2, 1)
    assert totals["steps", "success"] > 10_000


@pytest.mark.parametrize("kind", [0, 1], ids=["db_log", "constellation"])
def test_what_is_exported_is_in_jaeger(tmp_path: Path, databases: tuple[str, str], jaeger: Jaeger, kind: int) -> None:
    """Every trace whole, those of ten thousand nodes too; what has not ended is told as far as it is final."""
    endpoint = ("--endpoint", jaeger.otlp_http, "--source", databases[kind])
    _, traces = totals_of([databases[kind]])
    run_python(tmp_path, "-m", "runlog_otel", "export", "--all", *endpoint).succeeded()
    for trace_id, spans in traces.items():
        found = jaeger.wait_for_trace(trace_id, spans, 60)
        assert len(found["spans"]) == spans
        assert [span["warnings"] for span in found["spans"] if span["warnings"]] == []
        by_id = {span["spanID"] for span in found["spans"]}
        assert all(
            ref["spanID"] in by_id for span in found["spans"] for ref in span["references"][:1] if _is_parent(ref)
        )


def test_a_server_of_constellation_is_in_jaeger(tmp_path: Path, server: ConstellationServer, jaeger: Jaeger) -> None:
    """Its failure with its words, its sample rate and source on the root, derived starts marked."""
    server.executions = [{**found, "executionId": f"{found['executionId']} by HTTP"} for found in history()[:3]]
    arguments = ("--endpoint", jaeger.otlp_http, "--source", f"constellation+{server.url}")
    done = run_python(tmp_path, "-m", "runlog_otel", "export", "--all", *arguments).succeeded()
    assert "3 runs, 16 spans acknowledged" in done.output
    found = jaeger.wait_for_trace(identity.trace_id("", "failed by HTTP", 1).hex(), 6)
    tags = {span["operationName"]: _tags(span) for span in found["spans"]}
    assert {key: tags["RUN enrich"].get(key) for key in _OF_ROOT} == _OF_ROOT
    assert tags["FetchCustomer attempt"]["otel.status_description"] == "no customer"
    assert tags["FetchCustomer attempt"]["runlog.start.is_derived"] is True


_OF_ROOT = {
    "runlog.host": "constellation",
    "runlog.run.sample_rate": 0.25,
    "runlog.run.source": "API",
    "cicd.pipeline.result": "failure",
    "otel.status_description": "step FetchCustomer failed",
}


def _tags(span: Mapping[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def _is_parent(reference: Mapping[str, Any]) -> bool:
    return bool(reference["refType"] == "CHILD_OF")


class served:  # noqa: N801 - reads as a phrase
    """`runlog-otel serve` as a process, while the block runs."""

    def __init__(self, folder: Path, address: str, *options: str) -> None:
        self._folder = folder
        self._address = address
        command = [sys.executable, "-m", "runlog_otel", "serve", "--listen", address, "--interval", "1s", *options]
        with (folder / "serve.out").open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment(), stdout=output, stderr=output, start_new_session=True
            )

    def __enter__(self) -> None:
        ready = wait_until(lambda: answers(f"http://{self._address}/-/ready"))
        assert ready, (self._folder / "serve.out").read_text()

    def __exit__(self, *_: object) -> None:
        assert request(f"http://{self._address}/metrics")
        kill(self._process)
