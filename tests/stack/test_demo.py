"""What docker-compose.yml runs of runlog-otel, run as it says, with the files that it mounts."""

import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from runlog_otel.core import identity
from tests.e2e.serving import Serve
from tests.hosts.project import environment, run
from tests.peers.collector import ShippedCollector
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.postgres import Postgres
from tests.peers.process import Server, running
from tests.peers.victorialogs import VictoriaLogs
from tests.stack.composed import SINGLE, Service, services
from tests.stack.shipped import COLLECTORS, CONFIGS


@dataclass(frozen=True)
class Backends:
    """A Collector of the shipped file, and where it sends."""

    collector: ShippedCollector
    jaeger: Jaeger
    victorialogs: VictoriaLogs


@pytest.fixture
def backends(otelcol: Path, tmp_path: Path, jaeger: Jaeger, victorialogs: VictoriaLogs) -> Iterator[Backends]:
    """The backends, running."""
    variables = {"JAEGER_OTLP": jaeger.otlp_grpc, "LOGS_OTLP": victorialogs.otlp_http}
    collector = ShippedCollector(otelcol, tmp_path / "collector", [COLLECTORS / "single.yaml"], **variables)
    with running(collector.server):
        yield Backends(collector, jaeger, victorialogs)


def test_the_demo_is_stored_traced_logged_and_counted(
    compose_program: Path, backends: Backends, postgres: Postgres, tmp_path: Path
) -> None:
    """The tables are made, the demo runs, its trace and the log of its failure are stored, and `serve` counts it."""
    url, run_id = make_url(postgres.create_database()), secrets.token_hex(4)
    listen, pages = (f"{HOST}:{port}" for port in free_ports(2))
    here = {
        "/etc/runlog-otel": str(CONFIGS / "runlog-otel"),
        "/var/lib/runlog-otel": str(tmp_path / "state"),
        "0.0.0.0:9464": listen,
        "0.0.0.0:9463": pages,
        "postgres:5432": f"{url.host}:{url.port}",
        "http://collector:4318": backends.collector.otlp_http,
    }
    own = {
        "POSTGRES_DB": str(url.database),
        "POSTGRES_USER": str(url.username),
        "POSTGRES_PASSWORD": str(url.password),
        "RUNNABLE_RUN_ID": run_id,
    }

    def localized(word: str) -> str:
        for there, place in here.items():
            word = word.replace(there, place)
        return word

    def variables(service: Service) -> dict[str, str]:
        return {name: localized(value) for name, value in service["environment"].items()} | own

    def command(service: Service) -> list[str]:
        words = [*service.get("entrypoint", ["runlog-otel"]), *(service.get("command") or ())]
        return [str(Path(sys.executable).with_name(words[0])), *map(localized, words[1:])]

    composed = services(compose_program, SINGLE)
    tables, demo, serve = (composed[name] for name in ("tables", "demo", "runlog-otel"))
    (pipeline,) = (each["source"] for each in demo["volumes"] if each["target"] == "/home/runlog/pipeline.py")
    (work := tmp_path / "work").mkdir()
    shutil.copy(pipeline, work)
    (tmp_path / "state").mkdir()
    run(command(tables), work, **variables(tables)).succeeded()
    run(command(demo), work, **variables(demo)).succeeded()
    trace_id = identity.trace_id("", run_id, 1).hex()
    backends.jaeger.wait_for_trace(trace_id, spans=20)
    backends.victorialogs.wait_for(f'trace_id:={trace_id} severity_text:=ERROR "the registry does not answer"')
    ready = f"http://{listen}/-/ready"
    server = Server(command(serve), tmp_path, lambda: answers(ready), environment=environment(**variables(serve)))
    with running(server):
        labels = {"cicd_pipeline_name": "pipeline.main", "cicd_pipeline_result": "success"}
        metrics = Serve(tmp_path, listen)
        assert metrics.value("cicd_pipeline_run_duration_seconds_count", **labels) == 1
        assert trace_id in request(f"http://{pages}/runs/{run_id}").decode()
    assert ready.rpartition(listen)[2] in str(serve["healthcheck"]["test"])
