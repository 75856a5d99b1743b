"""Pytest fixtures of the real backends, each started once for a session and only when a test asks for it."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.peers import install
from tests.peers.alertmanager import Alertmanager, Webhook, running_alertmanager, running_webhook
from tests.peers.chromium import Browser, running_browser
from tests.peers.collector import Collector, running_collector
from tests.peers.faketime import command as faketime_command
from tests.peers.jaeger import Jaeger, running_jaeger
from tests.peers.minio import Minio, running_minio
from tests.peers.nginx import running_nginx
from tests.peers.pgbouncer import Pgbouncer, running_pgbouncer
from tests.peers.postgres import Postgres, running_postgres
from tests.peers.prometheus import Prometheus, running_prometheus
from tests.peers.tinyproxy import Tinyproxy, running_tinyproxy
from tests.peers.victorialogs import VictoriaLogs, running_victorialogs

REQUIRE = "RUNLOG_OTEL_REQUIRE_PEERS"
StartPrometheus = Callable[[Mapping[str, Any] | Path], Prometheus]
StartAlertmanager = Callable[[Mapping[str, Any] | Path], Alertmanager]
StartNginx = Callable[[str], str]
MISSING = re.compile(r"peer (\S+) is not installed")


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger that keeps the traces of the whole session in memory."""
    with running_jaeger(_installed("jaeger"), tmp_path_factory.mktemp("jaeger")) as server:
        yield server


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger) -> Iterator[Collector]:
    """A Collector that hands spans to the `jaeger` of the session."""
    binaries = _installed("collector")
    with running_collector(binaries, tmp_path_factory.mktemp("collector"), jaeger.otlp_grpc) as server:
        yield server


@pytest.fixture(scope="session")
def victorialogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaLogs]:
    """A VictoriaLogs that keeps the logs of the whole session, of any age."""
    with running_victorialogs(_installed("victorialogs"), tmp_path_factory.mktemp("victorialogs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; a test that writes takes a database of its own from it."""
    with running_postgres(_installed("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[Pgbouncer]:
    """A pgbouncer in transaction pooling in front of the `postgres` of the session."""
    with running_pgbouncer(_installed("pgbouncer"), postgres) as server:
        yield server


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Minio]:
    """A MinIO; a test makes buckets of its own in it."""
    with running_minio(_installed("minio"), tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def tinyproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinyproxy]:
    """A proxy that demands a login."""
    with running_tinyproxy(_installed("tinyproxy"), tmp_path_factory.mktemp("tinyproxy")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; it ends with the module, as Playwright's event loop runs in the thread of the tests until then."""
    with running_browser(_installed("chromium")) as running:
        yield running


@pytest.fixture
def start_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNginx]:
    """Starts an nginx in front of a server, which ends with the test; gives its URL."""
    binaries = _installed("nginx")
    with ExitStack() as running:
        yield lambda upstream: running.enter_context(
            running_nginx(binaries, tmp_path_factory.mktemp("nginx"), upstream)
        )


@pytest.fixture(scope="session")
def faketime() -> Callable[[int], list[str]]:
    """What to put before a program so that its clock is some seconds ahead."""
    return partial(faketime_command, _installed("faketime"))


@pytest.fixture(scope="session")
def otelcol() -> Path:
    """The folder of the Collector's program, for tests that bring configurations of their own."""
    return _installed("collector")


@pytest.fixture(scope="session")
def jaeger_program() -> Path:
    """The folder of Jaeger's program."""
    return _installed("jaeger")


@pytest.fixture(scope="session")
def victorialogs_program() -> Path:
    """The folder of VictoriaLogs' program."""
    return _installed("victorialogs")


@pytest.fixture(scope="session")
def compose_program() -> Path:
    """The folder of the program that loads compose files as `docker compose config` does."""
    return _installed("compose")


@pytest.fixture
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Starts a Prometheus with a config, which ends with the test: what is scraped differs from test to test."""
    binaries = _installed("prometheus")
    with ExitStack() as running:
        yield lambda config: running.enter_context(
            running_prometheus(binaries, tmp_path_factory.mktemp("prometheus"), config)
        )


@pytest.fixture
def start_alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAlertmanager]:
    """Starts an Alertmanager with a config, which ends with the test."""
    binaries = _installed("alertmanager")
    with ExitStack() as running:
        yield lambda config: running.enter_context(
            running_alertmanager(binaries, tmp_path_factory.mktemp("alertmanager"), config)
        )


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A server that keeps what an Alertmanager tells it."""
    with running_webhook() as server:
        yield server


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus's own checker of configs and rules."""
    return _installed("prometheus") / "promtool"


@pytest.fixture(scope="session")
def amtool() -> Path:
    """Alertmanager's own checker of configs."""
    return _installed("alertmanager") / "amtool"


# The annotation is quoted because pytest 8.3 does not export the class.
def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Say in one line which peers were missing and how many tests did not run for it."""
    reasons = (str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    missing = Counter(found[1] for found in map(MISSING.search, reasons) if found)
    if missing:
        told = ", ".join(f"{name} (skipped tests: {count})" for name, count in sorted(missing.items()))
        terminalreporter.write_line(f"missing peers, run `make peers`: {told}")


def _installed(name: str) -> Path:
    binaries = install.find(name)
    if binaries is None:
        reason = f"peer {name} is not installed, run `make peers`"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return binaries
