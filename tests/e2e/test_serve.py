"""Real pipelines, counted by a real `serve` that is restarted and killed, scraped by a real Prometheus."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.store import SqlStore
from tests.e2e.counts import Counts, Log, counts_of, executions, seconds_of_attempts
from tests.e2e.serving import Serve, counters
from tests.hosts.project import LOCAL, Project
from tests.hosts.test_sql_pipelines import sql_url
from tests.peers.fixtures import StartPrometheus
from tests.peers.jaeger import Jaeger
from tests.peers.process import wait_until
from tests.peers.prometheus import Prometheus

PIPELINE = "counted.main"
RUNS = 160
PROCESSES = 16
AT_ONCE = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Callable[[], None]]:
    """An empty SQL store, and what restarts its server, if it has one."""
    url = sql_url(request.param, tmp_path, request)
    return url, (lambda: None) if request.param == "sqlite" else request.getfixturevalue("postgres").restart


def run_all(project: Project, at: dict[int, Callable[[], None]]) -> None:
    """Run many, several at a time; every fifth fails, and every other one of those is retried until it succeeds.

    What stands in `at` happens when so many have been started.
    """
    begun = project.folder / "begun"
    begun.touch()

    def have_begun(count: int) -> bool:
        return len(begun.read_text(encoding="utf-8").splitlines()) >= count

    shares = [map(str, range(process, RUNS, PROCESSES)) for process in range(PROCESSES)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = [pool.submit(project.python, "counted_often.py", *share) for share in shares]
        for count, act in at.items():
            assert wait_until(partial(have_begun, count))
            act()
    for each in ended:
        each.result().succeeded()


def logs_in(url: str) -> list[Log]:
    """Every run log, as recorded."""
    history = RunHistory(SqlStore(Database(url)))
    logs: list[Log] = [history.get(f"run {number}") for number in range(RUNS)]
    history.database.close()
    return logs


def scraped(prometheus: Prometheus) -> Counts:
    """What Prometheus has of the counters."""
    rows = prometheus.query('{__name__=~".+_(total|count)", cicd_pipeline_name="counted.main"}')
    return counters((row["metric"]["__name__"], row["metric"], float(row["value"][1])) for row in rows)


def test_every_counter_is_what_the_logs_say(
    tmp_path: Path,
    store: tuple[str, Callable[[], None]],
    serve: Serve,
    start_prometheus: StartPrometheus,
    jaeger: Jaeger,
) -> None:
    """160 runs, 8 at a time, some failing, some retried; `serve` is restarted and killed, its database restarted."""
    url, restart_store = store
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": jaeger.otlp_http})
    inner = {"type": "sql", "config": {"connection_string": url}}
    telemetry = {"endpoint": jaeger.otlp_http, "service": f"counted {tmp_path.name}"}
    project.write_config({"run-log-store": {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}}})
    serve.start()
    scrape = {"job_name": "runlog", "scrape_interval": "1s", "static_configs": [{"targets": [serve.address]}]}
    prometheus = start_prometheus({"scrape_configs": [scrape]})
    began = time.time()

    run_all(project, {RUNS // 3: serve.restart, RUNS // 2: restart_store, 2 * RUNS // 3: serve.kill})

    logs = logs_in(url)
    expected = counts_of(logs, PIPELINE)
    assert sum(len(executions(log)) for log in logs) == RUNS + 2 * (RUNS // 10)
    wait_until(lambda: serve.counts() == expected)
    assert serve.counts() == expected, serve.output
    wait_until(lambda: scraped(prometheus) == expected)
    assert scraped(prometheus) == expected
    ((_, seconds),) = prometheus.values("sum(runlog_attempt_duration_seconds_sum)").items()
    assert seconds == pytest.approx(seconds_of_attempts(logs), abs=1e-3)
    serve.restart()
    assert serve.counts() == expected

    found = prometheus.query_exemplars("cicd_pipeline_run_duration_seconds_bucket", began, time.time())
    trace_ids = {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}
    assert trace_ids
    for trace_id in trace_ids:
        assert "RUN counted.main" in json.dumps(jaeger.wait_for_trace(trace_id, 2))
