"""The real Jaeger and Prometheus: nothing is found in what they have of hundreds of runs, but what was planted."""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.calls import Called, Command
from tests.e2e.serving import Serve
from tests.hosts.project import EMULATOR, PARALLEL, Project
from tests.peers.collector import Collector
from tests.peers.fixtures import StartPrometheus
from tests.peers.jaeger import BADGER, MEMORY, Jaeger, running_jaeger
from tests.peers.process import wait_until
from tests.peers.prometheus import Prometheus
from tests.verification.conftest import GOLDEN, copies
from tests.verification.servers import running_forwarder

RUNS = 300
SPANS = 25
STORAGES: Mapping[str, Mapping[str, Any]] = {"memory": MEMORY, "badger": BADGER}


@pytest.fixture(params=STORAGES)
def storing(request: pytest.FixtureRequest, jaeger_program: Path, tmp_path: Path) -> Iterator[Jaeger]:
    """A Jaeger with one of the storages that need no other server."""
    folder = tmp_path / "jaeger"
    folder.mkdir()
    with running_jaeger(jaeger_program, folder, STORAGES[request.param]) as server:
        yield server


@pytest.fixture
def store(project: Path) -> Path:
    """A store with three hundred runs, and one of each kind that is recorded here."""
    folder = project / ".run_log_store"
    for path in GOLDEN.glob("*.log.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        (folder / f"{document['run_id']}.json").write_text(json.dumps(document), encoding="utf-8")
    copies(folder, "demo", *(f"copy-{number:03}" for number in range(RUNS)))
    return folder


def found(called: Called) -> list[tuple[str, str, str, str]]:
    """Run, kind, span and field of each difference."""
    return [
        (run["run_id"], one["kind"], one["span"], one.get("field", ""))
        for run in called.document["runs"]
        for execution in run["executions"]
        for one in execution["differences"]
    ]


def run_of(span: Span) -> str:
    """The run id of a span."""
    return "".join(a.value.string_value for a in span.attributes if a.key == "cicd.pipeline.run.id")


def planted(span: Span) -> bool:
    """Lose a span of one run, change those of others."""
    where = run_of(span), span.name
    if where == ("copy-010", "load orders attempt"):
        return False
    if where == ("copy-100", "load orders attempt"):
        (orders,) = (a for a in span.attributes if a.key == "runlog.metric.orders")
        orders.value.int_value += 1
    if where == ("copy-200", "RUN pipeline.main"):
        span.end_time_unix_nano += 1_000
    if where == ("copy-201", "load orders"):
        span.parent_span_id = bytes(range(8))
    return True


def test_what_jaeger_has_is_what_the_logs_say(store: Path, command: Command, storing: Jaeger) -> None:
    """Whatever its storage changes: of hundreds of runs, of every kind, nothing is missing, extra or different."""
    assert command("export", "--all", "--abandoned", "--endpoint", storing.otlp_http).status == 0
    called = command("verify", "--all", "--jaeger", storing.ui)
    assert (called.status, called.err) == (0, "")
    assert called.out.endswith(": 0 missing, 0 extra, 0 different\n")


def test_planted_faults_are_found_in_jaeger_and_healed(store: Path, command: Command, storing: Jaeger) -> None:
    """A span that got lost, three that were changed, and a run that was never sent; the rest is as it should be."""
    with running_forwarder(storing.otlp_http, planted) as spoiling:
        assert command("export", "--all", "--abandoned", "--endpoint", spoiling).status == 0
    copies(store, "demo", "never")
    changed = [
        ("copy-100", "different", "load orders attempt", "attribute runlog.metric.orders"),
        ("copy-200", "different", "RUN pipeline.main", "end"),
        ("copy-201", "different", "load orders", "parent"),
    ]
    verify = ("verify", "--all", "--jaeger", storing.ui, "--json")
    called = command(*verify)
    assert called.status == 1
    assert [one for one in found(called) if one[0] != "never"] == [
        ("copy-010", "missing", "load orders attempt", ""),
        *changed,
    ]
    assert [one[1] for one in found(called) if one[0] == "never"] == ["missing"] * SPANS
    healed = command(*verify, "--heal", "--endpoint", storing.otlp_http)
    assert (healed.status, healed.document["healed_spans"], found(healed)) == (1, 1 + SPANS, changed)
    assert found(command(*verify)) == changed


def test_healing_leaves_nothing_to_find(store: Path, command: Command, storing: Jaeger) -> None:
    """Where spans are missing only: also of runs of which nothing was sent."""
    with running_forwarder(storing.otlp_http, lambda span: span.span_id[0] > 40) as spoiling:
        command("export", "--all", "--abandoned", "--endpoint", spoiling)
    healed = command("verify", "--all", "--jaeger", storing.ui, "--heal", "--endpoint", storing.otlp_http, "--json")
    assert healed.status == 0
    assert healed.document["healed_spans"] > RUNS
    called = command("verify", "--all", "--jaeger", storing.ui)
    assert (called.status, called.out.endswith(": 0 missing, 0 extra, 0 different\n")) == (0, True)


def test_two_contents_of_a_span_are_found(command: Command, storing: Jaeger) -> None:
    """Whether the storage keeps both, or replaces one by the other, what is not as the log says is told."""

    def renamed(span: Span) -> bool:
        span.name += " x" if span.name == "load orders" else ""
        return True

    command("export", "a", "--endpoint", storing.otlp_http)
    with running_forwarder(storing.otlp_http, renamed) as spoiling:
        command("export", "a", "--endpoint", spoiling)
    verify = ("verify", "a", "--jaeger", storing.ui, "--json")
    assert wait_until(lambda: command(*verify).status == 1)
    assert found(command(*verify)) == [("a", "different", "load orders", "name")]


@pytest.fixture
def scraping(serve: Serve, store: Path, start_prometheus: StartPrometheus) -> Prometheus:
    """A Prometheus that scrapes `serve` of the store."""
    serve.start("--resend", "none")
    jobs = [{"job_name": "runs", "scrape_interval": "1s", "static_configs": [{"targets": [serve.address]}]}]
    return start_prometheus({"scrape_configs": jobs})


def changed_total(serve: Serve, by: int) -> None:
    """End `serve`, change one of its totals, and start it again."""
    serve.end_gently()
    with sqlite3.connect(serve.folder / ".runlog-otel" / "serve.db") as connection:
        rows = connection.execute("SELECT metric, labels, document FROM series WHERE metric = 'runlog.step.results'")
        metric, labels, document = next(row for row in rows.fetchall() if json.loads(row[2])["value"] > RUNS - 1)
        series = json.loads(document)
        series["value"] += by
        connection.execute(
            "UPDATE series SET document = ? WHERE metric = ? AND labels = ?", (json.dumps(series), metric, labels)
        )
    connection.close()
    serve.start("--resend", "none")


def counters(called: Called) -> list[tuple[str, float]]:
    """Name of each counter that is not as the logs say, and how much it is off."""
    return [(one["sample"], one["actual"] - one["by_logs_at_least"]) for one in called.document["counters"]]


def test_a_counter_that_is_off_by_one_is_found_in_prometheus(
    command: Command, serve: Serve, scraping: Prometheus
) -> None:
    """Nothing before, and nothing but that counter afterwards."""
    verify = ("verify", "--all", "--prometheus", scraping.url, "--json")

    def is_off_by(count: int) -> bool:
        return counters(command(*verify, "--wait", "0s")) == [("runlog_step_results_total", count)]

    scraping.wait_for("cicd_pipeline_run_duration_seconds_count")
    called = command(*verify)
    assert (called.status, called.document["counters"]) == (0, [])
    changed_total(serve, 1)
    assert wait_until(lambda: is_off_by(1))
    changed_total(serve, -2)
    assert wait_until(lambda: is_off_by(-1))
    changed_total(serve, 1)
    assert command(*verify).status == 0


def test_counters_and_traces_are_compared_in_one_call(
    command: Command, jaeger: Jaeger, scraping: Prometheus, store: Path
) -> None:
    """Of all runs of a store."""
    command("export", "--all", "--abandoned", "--endpoint", jaeger.otlp_http)
    called = command("verify", "--all", "--jaeger", jaeger.ui, "--prometheus", scraping.url)
    assert (called.status, called.out.splitlines()[-1].endswith(": 0 not as the logs say")) == (0, True)


@pytest.mark.parametrize(
    ("executor", "pipelines"),
    [(PARALLEL, ("failing_shell", "regions", "streaming", "mended")), (EMULATOR, ("job", "mended"))],
    ids=["parallel", "emulator"],
)
def test_what_pipelines_sent_while_they_ran_is_found_whole(
    tmp_path: Path, jaeger: Jaeger, collector: Collector, executor: dict[str, Any], pipelines: tuple[str, ...]
) -> None:
    """Through a Collector, by whichever process recorded it; the failed run and its retry, too."""
    project = Project(tmp_path, "chunked-fs", executor, {"endpoint": collector.otlp_http})
    run_ids = {pipeline: f"{pipeline}-{secrets.token_hex(4)}" for pipeline in pipelines}
    for pipeline, run_id in run_ids.items():
        project.run(pipeline, run_id)
    (tmp_path / "mended").write_text("whole", encoding="utf-8")
    project.retry(run_ids["mended"]).succeeded()
    output = project.python("-m", "runlog_otel", "verify", "--all", "--jaeger", jaeger.ui).succeeded().output
    assert output.startswith(f"{len(pipelines)} runs, ")
    assert ": 0 missing, 0 extra, 0 different" in output
