"""What docker-compose.yml runs of runlog-otel, run as it says, with the files that it mounts."""

import secrets
import shutil
import sys
from pathlib import Path

from sqlalchemy import make_url

from runlog_otel.core import identity
from tests.e2e.serving import Serve
from tests.hosts.project import environment, run
from tests.peers.collector import ShippedCollector
from tests.peers.jaeger import Jaeger
from tests.peers.loopback import HOST, answers, free_ports
from tests.peers.postgres import Postgres
from tests.peers.process import Server, running
from tests.stack.composed import SINGLE, Service, services
from tests.stack.shipped import COLLECTORS, CONFIGS


def test_the_demo_is_stored_traced_and_counted(
    otelcol: Path, compose_program: Path, jaeger: Jaeger, postgres: Postgres, tmp_path: Path
) -> None:
    """The tables are made, the demo runs, its trace is in Jaeger, and `serve` counts it."""
    url, run_id = make_url(postgres.create_database()), secrets.token_hex(4)
    listen = f"{HOST}:{free_ports(1)[0]}"
    collector = ShippedCollector(
        otelcol, tmp_path / "collector", [COLLECTORS / "single.yaml"], JAEGER_OTLP=jaeger.otlp_grpc
    )
    here = {
        "/etc/runlog-otel": str(CONFIGS / "runlog-otel"),
        "/var/lib/runlog-otel": str(tmp_path / "state"),
        "0.0.0.0:9464": listen,
        "postgres:5432": f"{url.host}:{url.port}",
        "http://collector:4318": collector.otlp_http,
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
    with running(collector.server):
        run(command(tables), work, **variables(tables)).succeeded()
        run(command(demo), work, **variables(demo)).succeeded()
        jaeger.wait_for_trace(identity.trace_id("", run_id, 1).hex(), spans=20)
        ready = f"http://{listen}/-/ready"
        server = Server(command(serve), tmp_path, lambda: answers(ready), environment=environment(**variables(serve)))
        with running(server):
            labels = {"cicd_pipeline_name": "pipeline.main", "cicd_pipeline_result": "success"}
            metrics = Serve(tmp_path, listen)
            assert metrics.value("cicd_pipeline_run_duration_seconds_count", **labels) == 1
    assert ready.rpartition(listen)[2] in str(serve["healthcheck"]["test"])
