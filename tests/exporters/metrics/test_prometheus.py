"""Series as Prometheus gets them: text, OpenMetrics, exemplars; TLS, credentials, readiness."""

import gzip
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import trustme
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from runlog_otel.core.model import Status
from runlog_otel.core.points import known_points
from runlog_otel.errors import ConfigError
from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.exporters.metrics.series import SeriesTable
from tests.core.logs import attempt, points_from_run, run, task, verdict

LISTEN = "127.0.0.1:0"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
LOG = run(task("a", attempt(1, 3, ok=False)), verdict("fail", 4), status=Status.FAIL)


@pytest.fixture
def table() -> SeriesTable:
    """The series of one run that failed."""
    table = SeriesTable()
    table.add(known_points(LOG))
    for execution in points_from_run(LOG):
        table.add(execution.points)
    return table


@pytest.fixture
def server(table: SeriesTable) -> Iterator[MetricsServer]:
    """A server of them."""
    server = MetricsServer(table, LISTEN)
    yield server
    server.close()


def get(url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None) -> bytes:
    with urlopen(Request(url, headers=dict(headers or {})), timeout=10, context=context) as answer:
        body: bytes = answer.read()
    return body


def status(url: str, authorization: str = "") -> int:
    try:
        get(url, {"Authorization": authorization} if authorization else None)
    except HTTPError as error:
        with error:
            return error.code
    return 200


def test_openmetrics_carry_the_trace_of_an_observation(server: MetricsServer) -> None:
    """The strict parser takes it; each bucket's newest observation is an exemplar, counters have one too."""
    text = get(f"{server.url}/metrics", {"Accept": OPENMETRICS}).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    (execution,) = points_from_run(LOG)
    trace_id = execution.execution.trace_id.hex()
    duration = families["cicd_pipeline_run_duration_seconds"]
    told = {s.labels["le"]: s.exemplar for s in duration.samples if s.name.endswith("_bucket") and s.exemplar}
    assert {le: (e.labels["trace_id"], e.value) for le, e in told.items()} == {"5.0": (trace_id, 4.000000001)}
    (errors,) = families["cicd_pipeline_run_errors"].samples
    assert (errors.value, errors.exemplar.labels["trace_id"]) == (1, trace_id)


def test_the_text_format_is_the_default(server: MetricsServer) -> None:
    """Names are OpenTelemetry's translation, with the unit."""
    lines = get(f"{server.url}/metrics").decode().splitlines()
    failed = 'cicd_pipeline_name="train",cicd_pipeline_result="failure",cicd_pipeline_run_state="executing"'
    assert f'cicd_pipeline_run_duration_seconds_count{{{failed},error_type="step_failed"}} 1.0' in lines
    assert f'cicd_pipeline_run_duration_seconds_bucket{{{failed},error_type="step_failed",le="5.0"}} 1.0' in lines


def test_an_answer_is_compressed_for_who_takes_it(server: MetricsServer) -> None:
    """As Prometheus asks."""
    plain = get(f"{server.url}/metrics")
    packed = gzip.decompress(get(f"{server.url}/metrics", {"Accept-Encoding": "gzip"}))
    assert packed == plain


def test_half_a_history_is_not_served(table: SeriesTable) -> None:
    """While the stores are read for the first time it is healthy, and not ready."""
    is_ready = [False]
    server = MetricsServer(table, LISTEN, is_ready=lambda: is_ready[0])
    paths = ("/metrics", "/-/healthy", "/-/ready", "/", "/elsewhere")
    before = [status(server.url + path) for path in paths]
    is_ready[0] = True
    after = [status(server.url + path) for path in paths]
    server.close()
    assert (before, after) == ([503, 200, 503, 200, 404], [200, 200, 200, 200, 404])


def test_credentials_are_asked_for(table: SeriesTable) -> None:
    """The metrics are for who has them, health is for everybody."""
    server = MetricsServer(table, LISTEN, credentials="me:opensesame")
    right, wrong = "Basic bWU6b3BlbnNlc2FtZQ==", "Basic bWU6b3BlbnNlc2FtZX=="
    url = f"{server.url}/metrics"
    told = [status(url), status(url, wrong), status(url, right)]
    told.append(status(f"{server.url}/-/healthy"))
    server.close()
    assert told == [401, 401, 200, 200]


def test_metrics_are_served_by_tls(table: SeriesTable, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the certificate that was given; who speaks no TLS is sent away, without a word in the output."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    server = MetricsServer(table, LISTEN, tls=(tmp_path / "both.pem", tmp_path / "both.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    body = get(f"{server.url}/metrics", context=context)
    with pytest.raises(OSError):  # noqa: PT011 - URLError, or a connection that is reset
        get(f"{server.url}/metrics".replace("https:", "http:"))
    server.close()
    assert capfd.readouterr().err == ""
    assert server.url.startswith("https://")
    assert b"cicd_pipeline_run_duration_seconds_count" in body


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_metrics_are_served_by_ipv6(table: SeriesTable) -> None:
    """With brackets around the address, in what is told, too."""
    server = MetricsServer(table, "[::1]:0")
    told = status(f"{server.url}/metrics")
    server.close()
    assert (told, server.url.startswith("http://[::1]:")) == (200, True)


def test_a_wrong_certificate_is_told(table: SeriesTable, tmp_path: Path) -> None:
    """As what it is, and not as an address; a key of another certificate, too."""
    authority = trustme.CA()
    first, second = (authority.issue_cert("127.0.0.1") for _ in range(2))
    first.cert_chain_pems[0].write_to_path(tmp_path / "first.pem")
    second.private_key_pem.write_to_path(tmp_path / "second.key")
    for key in ("second.key", "missing.key"):
        with pytest.raises(ConfigError, match=rf"first\.pem, key .*{key}: cannot be used"):
            MetricsServer(table, LISTEN, tls=(tmp_path / "first.pem", tmp_path / key))


@pytest.mark.parametrize(
    "listen", ["9464", "localhost", "127.0.0.1:", "127.0.0.1:99999", "256.0.0.1:1", "[:1", "::1:9464"]
)
def test_a_wrong_address_is_told(table: SeriesTable, listen: str) -> None:
    """In one line, with what was expected."""
    with pytest.raises(ConfigError, match=r"listen.*: (must be host:port|cannot be used)"):
        MetricsServer(table, listen)


def test_an_address_that_is_taken_is_told(server: MetricsServer, table: SeriesTable) -> None:
    """Another server listens there."""
    with pytest.raises(ConfigError, match="cannot be used"):
        MetricsServer(table, server.url.removeprefix("http://"))
