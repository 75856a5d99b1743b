"""One Collector and Jaeger, as processes of the shipped files: traces, span metrics, and metrics that are pushed."""

import itertools
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.counts import Counts, counts_of
from tests.e2e.serving import counters
from tests.hosts.project import LOCAL, Project
from tests.peers.collector import ShippedCollector
from tests.peers.fixtures import StartPrometheus
from tests.peers.jaeger import Jaeger, running_shipped_jaeger
from tests.peers.loopback import request
from tests.peers.process import Server, running, wait_until
from tests.stack.pushed import exposed_of, overlapping_runs, push_all, push_each, served
from tests.stack.shipped import COLLECTORS, CONFIGS, SECONDS, finished_run, send, wait_for_whole


@pytest.fixture(scope="module")
def stored(jaeger_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jaeger, Server]]:
    """A Jaeger of the shipped file."""
    folder, config = tmp_path_factory.mktemp("jaeger"), CONFIGS / "jaeger" / "jaeger.yaml"
    with running_shipped_jaeger(jaeger_program, folder, config, "http://127.0.0.1:9") as server:
        yield server


@pytest.fixture(scope="module")
def single(
    otelcol: Path, tmp_path_factory: pytest.TempPathFactory, stored: tuple[Jaeger, Server]
) -> Iterator[ShippedCollector]:
    """A Collector of the shipped file."""
    folder = tmp_path_factory.mktemp("single")
    jaeger = stored[0].otlp_grpc
    collector = ShippedCollector(otelcol, folder, [COLLECTORS / "single.yaml"], JAEGER_OTLP=jaeger)
    with running(collector.server):
        yield collector


def test_runs_arrive_in_jaeger_and_outlive_its_restart(single: ShippedCollector, stored: tuple[Jaeger, Server]) -> None:
    """Every span of every run is in Jaeger, on disk."""
    jaeger, server = stored
    runs = [finished_run(f"single-{number}", is_failed=number % 2 == 0) for number in range(10)]
    send(single.otlp_http, runs)
    wait_for_whole(jaeger, runs)
    server.kill()
    server.start()
    wait_for_whole(jaeger, runs)


def test_a_killed_collector_sends_what_it_acknowledged(single: ShippedCollector, stored: tuple[Jaeger, Server]) -> None:
    """Spans that were taken while Jaeger was away are sent after a kill."""
    jaeger, server = stored
    runs = [finished_run(f"single-killed-{number}") for number in range(10)]
    server.kill()
    send(single.otlp_http, runs)
    single.server.kill()
    server.start()
    single.server.start()
    wait_for_whole(jaeger, runs)


def test_secrets_of_other_peoples_spans_are_masked(single: ShippedCollector, stored: tuple[Jaeger, Server]) -> None:
    """Values that look like credentials, and values under names that do, reach no backend; others stay."""
    attributes = {
        "db.password": "hunter2",
        "http.header": "Bearer abcdef0123456789",
        "db.url": "postgresql://me:hunter2@db/runs",
        "llm.token.count": "812",
        "db.host": "db.example.org:5432",
    }
    trace_id, now = secrets.token_hex(16), time.time_ns()
    encoded = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "query",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1000),
        "attributes": encoded,
        "events": [{"name": "sent", "timeUnixNano": str(now), "attributes": encoded}],
    }
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    request(f"{single.otlp_http}/v1/traces", json.dumps(document).encode())
    (shown,) = stored[0].wait_for_trace(trace_id, spans=1)["spans"]
    masked = {
        "db.password": "****",
        "http.header": "****",
        "db.url": "****db/runs",
        "llm.token.count": "812",
        "db.host": "db.example.org:5432",
    }
    assert {tag["key"]: tag["value"] for tag in shown["tags"] if tag["key"] in attributes} == masked
    (event,) = shown["logs"]
    assert {tag["key"]: tag["value"] for tag in event["fields"] if tag["key"] in attributes} == masked


def test_spans_are_counted_and_timed(single: ShippedCollector) -> None:
    """Span metrics have the names that Jaeger's monitor page asks for, with pipeline and result, and no more labels."""
    send(single.otlp_http, [finished_run("counted")])
    labels = {
        "job": "stack",
        "service_name": "stack",
        "span_name": "RUN train",
        "span_kind": "SPAN_KIND_SERVER",
        "status_code": "STATUS_CODE_UNSET",
        "cicd_pipeline_name": "train",
        "cicd_pipeline_result": "success",
    }

    names = {
        "traces_span_metrics_calls_total": {},
        "traces_span_metrics_duration_milliseconds_count": {},
        "traces_span_metrics_duration_milliseconds_bucket": {"le": "8.64e+07"},
    }
    wanted = [(name, frozenset((labels | more).items())) for name, more in names.items()]

    def values() -> set[float | None]:
        exposed = single.exposed()
        return {exposed.get(series) for series in wanted}

    assert wait_until(lambda: len(values()) == 1 and None not in values()), values()


def test_jaegers_monitor_page_has_calls_errors_and_durations(
    single: ShippedCollector, jaeger_program: Path, tmp_path: Path, start_prometheus: StartPrometheus
) -> None:
    """Jaeger finds the span metrics in Prometheus, and a run of 4 s (in the bucket of 1 to 5 s) takes some 4,800 ms."""
    scrape = {"job_name": "collector-spans", "scrape_interval": "1s", "static_configs": [{"targets": [single.metrics]}]}
    prometheus = start_prometheus({"scrape_configs": [scrape]})
    config = CONFIGS / "jaeger" / "jaeger.yaml"
    with running_shipped_jaeger(jaeger_program, tmp_path, config, prometheus.url) as (jaeger, _):

        def shown(metric: str) -> list[float]:
            window = {"endTs": time.time_ns() // 1_000_000, "lookback": 60_000, "step": 1000, "ratePer": 60_000}
            query = {"service": "stack", "spanKind": "server", "quantile": 0.95, **window}
            answer = json.loads(request(f"{jaeger.ui}/api/metrics/{metric}?{urlencode(query)}"))
            points = [point for found in answer["metrics"] for point in found["metricPoints"]]
            return [float(point["gaugeValue"]["doubleValue"]) for point in points]

        numbers = itertools.count()

        def is_shown() -> bool:
            number = next(numbers)
            send(single.otlp_http, [finished_run(f"monitored-{number}", is_failed=number % 2 == 0)])
            time.sleep(1)
            return all(any(value > 0 for value in shown(metric)) for metric in ("calls", "errors", "latencies"))

        assert wait_until(is_shown)
        # The page takes every latency for milliseconds, whatever the unit of the metric.
        latencies = [value for value in shown("latencies") if value > 0]
        assert latencies == pytest.approx([4800] * len(latencies))


def test_what_serve_pushes_is_exposed_as_serve_exposes_it(single: ShippedCollector) -> None:
    """Cumulative series have the names, labels and values that a scrape of `serve` has; each push replaces the last."""
    runs = overlapping_runs("cumulative", 12)
    for known in (runs[:5], runs):
        push_all(single.otlp_http, known)
    expected = served(runs)
    assert {"cicd_pipeline_run_duration_seconds_bucket", "runlog_user_metric"} <= {name for name, _ in expected}
    assert wait_until(lambda: exposed_of(single, "cumulative") == pytest.approx(expected)), exposed_of(
        single, "cumulative"
    )


def test_deltas_of_runs_that_overlap_add_up(single: ShippedCollector) -> None:
    """Of 160 runs, 8 at a time, that each push their points once, the Collector exposes what `serve` would."""
    runs = overlapping_runs("delta", 160)
    push_each(single.otlp_http, runs)
    expected = served(runs)
    assert wait_until(lambda: exposed_of(single, "delta") == pytest.approx(expected))


def test_a_pipeline_pushes_what_each_execution_adds(single: ShippedCollector, tmp_path: Path) -> None:
    """A real one that fails and is retried, with `metrics.push`: the counters are what its log says."""
    telemetry = {"endpoint": single.otlp_http, "exit_budget_seconds": SECONDS, "metrics": {"push": True}}
    project = Project(tmp_path, "chunked-fs", LOCAL, telemetry)
    project.run("failing_python", "r")
    project.retry("r")
    expected = counts_of([project.log("r")], "failing_python.main")

    def pushed() -> Counts:
        exposed = exposed_of(single, "failing_python.main").items()
        return counters((name, dict(labels), value) for (name, labels), value in exposed if name[:7] != "traces_")

    assert wait_until(lambda: pushed() == expected), (pushed(), expected)
