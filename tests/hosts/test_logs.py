"""The output of attempts is exported live, and again from the host's catalog, as the same bytes."""

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.e2e import oracle
from tests.e2e.backend import closed
from tests.exporters.spans import Backend, backend
from tests.hosts.project import CONFIG, EMULATOR, LOCAL, PARALLEL, Project

EXECUTORS = {"local": LOCAL, "parallel": PARALLEL, "emulator": EMULATOR}
Record = tuple[str, str, str]
"""The step, the severity and the body."""


def messages(server: Backend) -> list[LogRecord]:
    """The log records that a backend got."""
    bodies = [body for path, _, body in server.requests if path == "/v1/logs"]
    requests = map(ExportLogsServiceRequest.FromString, bodies)
    scopes = (scope for each in requests for logs in each.resource_logs for scope in logs.scope_logs)
    return [record for scope in scopes for record in scope.log_records]


def sent(server: Backend) -> list[bytes]:
    """All of them, serialised, in an order that does not depend on time."""
    return sorted(record.SerializeToString() for record in messages(server))


def told(record: LogRecord) -> Record:
    """What a record says."""
    attributes = {attribute.key: attribute.value.string_value for attribute in record.attributes}
    return attributes["runlog.step.path"], record.severity_text, record.body.string_value


def project(folder: Path, url: str, executor: Mapping[str, Any] = LOCAL, logs: str = "all", **more: Any) -> Project:
    """A project that exports logs."""
    telemetry = {"endpoint": url, "logs": logs, "exit_budget_seconds": 60.0, **more}
    return Project(folder, "chunked-fs", executor, telemetry)


def replayed(here: Project, *arguments: str, **variables: str) -> list[bytes]:
    """The log records that an export sends."""
    with backend() as server:
        here.export(*arguments, "--endpoint", server.url, **variables).succeeded()
        return sent(server)


@pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)
def test_a_replay_sends_the_same_records(tmp_path: Path, executor: Mapping[str, Any]) -> None:
    """Of every attempt, whatever process ran it; in another time zone, at another width."""
    with backend() as server:
        here = project(tmp_path, server.url, executor)
        here.run("talking", "r", RUNNABLE_PRM_rows="4711", TZ="Asia/Kathmandu")
        made, live = messages(server), sent(server)
    records = [told(record) for record in made]
    plain = [record for record in records if record[0] not in {"explode", "load"}]
    assert sorted(plain) == [
        ("each.north.clean", "", "cleaning north"),
        ("each.south.clean", "", "cleaning south"),
        ("mumble", "", "no end of line"),
        ("report", "", "3 rows"),
        ("report", "", "careful"),
    ]
    *first, logged = [record for record in records if record[0] == "load"]
    assert first == [("load", "", "loading"), ("load", "", "half of it")]
    assert (logged[1], logged[2][-21:]) == ("ERROR", " ERROR no row is blue")
    assert ("explode", "ERROR", "ValueError: no more rows") in records
    assert {told(record)[2] for record in made if "log.iostream" in {a.key for a in record.attributes}} == {
        *("half of it", "careful")
    }
    assert "4711" not in str(records)
    own = {record.span_id.hex() for record in made if told(record)[0] == "load"}
    assert own == {oracle.span_id("r", 1, "attempt", "load", 1)}
    assert {record.trace_id.hex() for record in made} == {oracle.trace_id("r", 1)}
    assert replayed(here, "r", "--logs", TZ="America/New_York", COLUMNS="61") == live


@pytest.mark.parametrize("executor", [LOCAL, EMULATOR], ids=["local", "emulator"])
@pytest.mark.parametrize("fails", ["", "1"])
def test_the_output_of_a_job_is_exported(tmp_path: Path, executor: Mapping[str, Any], fails: str) -> None:
    """The host saves it when the job is recorded already."""
    with backend() as server:
        here = project(tmp_path, server.url, executor)
        here.run("job", "r", JOB_FAILS=fails)
        live = sent(server)
        records = [told(record) for record in messages(server)]
    assert (("job", "ERROR", "ValueError: not today") in records) == bool(fails)
    assert replayed(here, "r", "--logs") == live


@pytest.mark.parametrize("pipeline", ["job", "talking"])
def test_a_replay_over_sqlite_sends_the_same_records(tmp_path: Path, pipeline: str) -> None:
    """The names of the files are in whatever store has the run."""
    with backend() as server:
        here = project(tmp_path, server.url, PARALLEL)
        config = json.loads((tmp_path / CONFIG).read_text())
        config["run-log-store"]["config"]["inner"] = {
            "type": "sql",
            "config": {"connection_string": f"sqlite:///{tmp_path}/runs.db"},
        }
        here.write_config(config)
        here.run(pipeline, "r", JOB_FAILS="1")
        live = sent(server)
    assert len(live) > 5
    assert replayed(here, "r", "--logs") == live


def test_the_output_of_an_asynchronous_step_is_exported(tmp_path: Path) -> None:
    """The host captures it alike."""
    with backend() as server:
        here = project(tmp_path, server.url)
        here.run("talking_async", "r")
        live, records = sent(server), [told(record) for record in messages(server)]
    assert records[:3] == [
        ("answer", "", "before the first word"),
        ("answer", "", "after the last word"),
        ("check", "", "checking"),
    ]
    assert ("check", "ERROR", "ValueError: 1 word") in records
    assert replayed(here, "r", "--logs") == live


def test_only_failed_attempts_are_exported_where_that_is_asked_for(tmp_path: Path) -> None:
    """Live and again."""
    with backend() as server:
        here = project(tmp_path, server.url, logs="failed")
        here.run("talking", "r")
        live = sent(server)
        assert {told(record)[0] for record in messages(server)} == {"explode"}
    assert replayed(here, "r", "--logs") == live


@pytest.mark.parametrize("executor", [LOCAL, EMULATOR], ids=["local", "emulator"])
def test_an_execution_that_failed_is_sent_with_its_logs(tmp_path: Path, executor: Mapping[str, Any]) -> None:
    """Even if its run is not sampled: when it is complete, from the catalog."""
    with backend() as server:
        here = project(tmp_path, server.url, executor, logs="failed", sample=0)
        here.run("talking", "r")
        live = sent(server)
        assert {told(record)[0] for record in messages(server)} == {"explode"}
    assert replayed(here, "r", "--logs") == live


def test_each_execution_has_the_logs_of_its_own_attempts(tmp_path: Path) -> None:
    """A retry adds files to the catalog; each attempt names its own."""
    with backend() as server:
        here = project(tmp_path, server.url, logs="failed")
        here.run("talking", "r")
        here.retry("r")
        live = sent(server)
        assert {record.trace_id.hex() for record in messages(server)} == {oracle.trace_id("r", n) for n in (1, 2)}
    assert replayed(here, "r", "--logs") == live


def refuse_logs(handler: BaseHTTPRequestHandler) -> bool:
    """What a backend does whose logs are out of order."""
    if handler.path == "/v1/logs":
        handler.rfile.read(int(handler.headers["content-length"]))
        handler.send_error(503)
        return True
    return False


@pytest.mark.parametrize("is_down", [True, False], ids=["down", "without logs"])
@pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)
def test_logs_are_sent_again_after_an_outage(tmp_path: Path, executor: Mapping[str, Any], is_down: bool) -> None:
    """The run is remembered, even if only its logs were refused; then nothing is left to send."""
    with backend() as server, closed() as nowhere:
        server.act = refuse_logs
        here = project(tmp_path, nowhere if is_down else server.url, executor)
        here.run("talking", "r")
    assert [marker["run_id"] for marker in here.unsent()] == ["r"]
    again = [LogRecord.FromString(record) for record in replayed(here, "--unsent")]
    steps = {"load", "each.north.clean", "each.south.clean", "report", "mumble", "explode"}
    assert {told(record)[0] for record in again} == steps
    assert here.unsent() == []


def test_an_export_sends_logs_where_they_may_be_unsent(tmp_path: Path) -> None:
    """Or where that is asked for: backends keep the lines of a run as often as they are sent."""
    with closed() as nowhere:
        here = project(tmp_path, nowhere)
        here.run("talking", "r")
    assert replayed(here, "--all") == []
    once = replayed(here, "--all", "--logs")
    assert len(once) > 5
    assert replayed(here, "--all", "--logs", "--jobs", "2") == once


def test_a_log_that_is_gone_does_not_keep_a_run_from_being_sent(tmp_path: Path) -> None:
    """Its spans are."""
    with backend() as server:
        here = project(tmp_path, server.url)
        here.run("talking", "r")
    for path in tmp_path.glob(".catalog/**/*.execution.log"):
        path.unlink()
    assert replayed(here, "r", "--logs") == []


def test_nothing_else_in_the_catalog_is_read(tmp_path: Path) -> None:
    """A run log that names another file."""
    with backend() as server:
        here = project(tmp_path, server.url)
        here.run("job", "r", JOB_FAILS="1")
    (tmp_path / "elsewhere.execution.log").write_text("canary", encoding="utf-8")
    path = tmp_path / ".run_log_store" / "r" / "RunLog.json"
    log = json.loads(path.read_text())
    for code in log["job"]["attempts"][0]["code_identities"]:
        if code["code_identifier_type"] == "runlog_otel.log":
            code["code_identifier"] = "columns=80 name=../../elsewhere.execution.log"
    path.write_text(json.dumps(log))
    assert replayed(here, "r", "--logs") == []


SECRETS = (
    "AKIACANARYCANARY7QXR",
    "ghp_canary0canary1canary2canary3canary4",
    "github_pat_canary0canary1canary2canary3",
    "glpat-canary0canary1canary2",
    "eyJjYW5hcnkiOiJ4In0.eyJjYW5hcnkiOiJjYW5hcnkifQ.canarycanarycanary",
    "sk-canary-canary-canary-canary-0000",
    "xoxb-0123456789-canarycanary",
    "sk_live_canarycanarycanary00",
    "hf_canarycanarycanarycanarycanary0",
    "npm_canarycanarycanarycanarycanary012345",
    "hvs.canarycanarycanarycanary",
    "SG.canarycanarycanary.canarycanarycanary",
    "dckr_pat_canarycanarycanary00",
    "glsa_canarycanarycanarycanarycanary0123",
    "https://somebody:canary-of-a-url@example.org/path",
    "Authorization: Bearer canary-of-a-header-3141",
    "password='canary of a password'",
    "--token canary-of-an-option",
    "db_connection_string=canary;of=it",
    "canary-of-a-pattern-2718",
)
"""And two of the host: EXPOSED, and PHRASE, which has several words."""


@pytest.mark.parametrize("times", [1, 2_500], ids=["short", "cut"])
def test_no_secret_leaves_in_a_line(tmp_path: Path, times: int) -> None:
    """Wherever it is cut or folded, live and from a machine without the host's secrets: both send the same."""
    with backend() as server:
        here = project(tmp_path, server.url, redact=["canary-of-a-pattern-[0-9]+"])
        (tmp_path / "secrets.txt").write_text(f"{' '.join(SECRETS)}\n", encoding="utf-8")
        (tmp_path / ".env").write_text("EXPOSED=canary-exposed-4711\nPHRASE=the canary is a bird of many words\n")
        config = json.loads((tmp_path / CONFIG).read_text())
        here.write_config({**config, "secrets": {"type": "dotenv"}})
        here.run("whispering", "r", TIMES=str(times), COLUMNS="67")
        live, steps = sent(server), {told(record)[0] for record in messages(server)}
        bodies = b"".join(body for _, _, body in server.requests)
    assert steps == {"whisper", "shout", "break"}
    assert sum(b"are left out here" in record for record in live) == (times > 1)
    for needle in (b"canary", b"CANARY", b"Y2FuYXJ5", b"bird of many"):
        assert needle not in bodies, str(bodies[max(0, bodies.find(needle) - 100) : bodies.find(needle) + 100])
    (tmp_path / ".env").unlink()
    here.write_config(config)
    assert replayed(here, "r", "--logs") == live
