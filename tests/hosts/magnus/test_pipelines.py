"""With the wrapper magnus behaves as without it, and over our store as over its own: same outcome, same run log."""

import functools
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.magnus.project import CHUNKED, CONFIG, FILE_SYSTEM, SQL, MagnusProject, spans_in
from tests.hosts.notes import attempts_in, taken_notes
from tests.hosts.project import LOGS, Done
from tests.peers.postgres import Postgres

HEADER = "runlog_otel"
PIPELINES = (
    "sequential",
    "failing",
    "failing_shell",
    "recovery",
    "regions",
    "failing_regions",
    "side_by_side",
    "nested",
    "mended",
    "function",
)
STORES: Mapping[str, Mapping[str, Any]] = {"file-system": FILE_SYSTEM, "chunked-fs": CHUNKED}
_TIMES = ("start_time", "end_time", "duration")


def executed(project: MagnusProject, pipeline: str) -> list[Done]:
    """Run a pipeline, and again what fails until its reason is gone."""
    if pipeline == "function":
        return [project.function("tasks.load", "function")]
    variables = {"REGIONS": "north,broken"} if pipeline == "failing_regions" else {}
    done = [project.execute(pipeline.removeprefix("failing_") if variables else pipeline, pipeline, **variables)]
    if pipeline == "mended":
        (project.folder / "mended").touch()
        done.append(project.execute(pipeline, "again", "--use-cached", pipeline, "--tag", "second"))
    return done


def outcome(done: list[Done]) -> tuple[list[int], list[str]]:
    """The exit statuses, and what the tasks print."""
    output = "".join(each.output for each in done)
    return [each.returncode for each in done], re.findall(r"^EVENT .*", output, re.MULTILINE)


def without_times(part: Any) -> Any:
    """A document without its times, which are in the console text of a failed task too, and so in the text's hash."""
    if isinstance(part, dict):
        hashed = ("data_hash",) if ".execution.log" in str(part.get("name")) else ()
        return {key: without_times(value) for key, value in part.items() if key not in (*_TIMES, *hashed)}
    return [without_times(value) for value in part] if isinstance(part, list) else part


Plain = tuple[tuple[list[int], list[str]], dict[str, Any]]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, magnus_python: Path) -> Callable[[str, str], Plain]:
    """What a pipeline leaves behind over a store of magnus, without us: its outcome, and the store's documents."""

    @functools.cache
    def left(store: str, pipeline: str) -> Plain:
        project = MagnusProject(tmp_path_factory.mktemp("plain"), magnus_python, STORES[store])
        return outcome(executed(project, pipeline)), without_times(project.files())

    return left


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("pipeline", [pytest.param(PIPELINES[0], marks=pytest.mark.canary), *PIPELINES[1:]])
def test_outcome_and_run_log_are_those_without_the_wrapper(
    tmp_path: Path, magnus_python: Path, plain: Callable[[str, str], Plain], store: str, pipeline: str
) -> None:
    """Exit status, output and every key of every stored document are the same, but for header and attempts' notes."""
    project = MagnusProject(tmp_path, magnus_python, STORES[store], {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    done = executed(project, pipeline)
    expected, expected_logs = plain(store, pipeline)
    assert outcome(done) == expected
    logs = project.files()
    headers = [log["run_config"].pop(HEADER) for log in logs.values() if log.get("run_config")]
    assert len(taken_notes(logs)) == attempts_in(expected_logs)
    assert json.dumps(without_times(logs)) == json.dumps(expected_logs)
    assert [set(header) - {"pipeline", "facts"} for header in headers] == [{"created", "traceparent"}] * len(done)
    assert "telemetry failed" not in "".join(each.output for each in done)
    assert project.unsent() == []


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["alone", "wrapped"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_over_the_sql_store_a_run_leaves_the_log_that_the_host_s_store_has(
    tmp_path: Path, magnus_python: Path, plain: Callable[[str, str], Plain], pipeline: str, is_wrapped: bool
) -> None:
    """One result, one log, but for the store's own config in it."""
    telemetry = {"endpoint": f"file://{tmp_path}/spans.jsonl"} if is_wrapped else None
    project = MagnusProject(tmp_path, magnus_python, SQL, telemetry)
    expected, expected_logs = plain("file-system", pipeline)
    assert outcome(executed(project, pipeline)) == expected
    for run_id in [pipeline, *(["again"] if pipeline == "mended" else [])]:
        log = project.log_in_sql(run_id)
        assert (log["run_config"].pop(HEADER, None) is not None) == is_wrapped
        assert log["run_config"].pop("run_log_store")["connection_string"] == "sqlite:///runs.db"
        assert bool(taken_notes(log)) == is_wrapped
        of_host = expected_logs[f"{LOGS}/{run_id}.json"]
        config = {name: value for name, value in of_host["run_config"].items() if name != "run_log_store"}
        assert without_times(log) == of_host | {"run_config": config}


def test_a_run_is_run_again_after_a_step_that_was_never_reached(tmp_path: Path, magnus_python: Path) -> None:
    """Over the SQL store; magnus's own stores raise an error there that magnus does not catch."""
    project = MagnusProject(tmp_path, magnus_python, SQL)
    definition = (project.folder / "failing.yaml").read_text()
    assert project.execute("failing", "first").returncode == 1
    (project.folder / "failing.yaml").write_text(definition.replace("tasks.boom", "tasks.nothing"))
    project.execute("failing", "second", "--use-cached", "first").succeeded()
    log = project.log_in_sql("second")
    assert [log["original_run_id"], log["use_cached"], log["status"]] == ["first", True, "SUCCESS"]
    assert {name: (step["mock"], len(step["attempts"])) for name, step in log["steps"].items()} == {
        "load": (True, 0),
        "publish": (False, 1),
        "never": (False, 1),
        "success": (False, 1),
    }


def test_the_config_of_magnus_s_documentation_works(tmp_path: Path, magnus_python: Path) -> None:
    """`type: db`, and a connection string with a secret of magnus's secrets manager, which is shown nowhere."""
    project = MagnusProject(tmp_path, magnus_python, SQL)
    (project.folder / "the secret.env").write_text("password=canary-of-a-password\n")
    secrets = {"type": "dotenv", "config": {"location": "the secret.env"}}
    unreachable = {"connection_string": "postgresql://runs:${password}@127.0.0.1:1/runs", "timeout_seconds": 1}
    project.write_config({"run_log_store": {"type": "db", "config": unreachable}, "secrets": secrets})
    done = project.execute("recovery", "r")
    assert (done.returncode, "canary" in done.output) == (1, False)
    store = {"type": "db", "config": {"connection_string": "sqlite:///${password}.db"}}
    project.write_config({"run_log_store": store, "secrets": secrets})
    done = project.execute("recovery", "r").succeeded()
    assert (project.folder / "canary-of-a-password.db").exists()
    shown = done.output + json.dumps(project.log("r"))
    assert ("canary" in shown, "${password}" in shown) == (False, True)


def test_a_literal_password_is_in_no_run_log_and_no_output(
    tmp_path: Path, magnus_python: Path, postgres: Postgres
) -> None:
    """magnus prints its context and dumps it into the log: both show the address without credentials."""
    from runlog_otel.stores.sql.upgrade import create_tables

    url = postgres.create_database()
    create_tables(url)
    password = re.findall(r":([^:@]+)@", url)[0]
    store = {"type": "sql", "config": {"connection_string": url}}
    for telemetry in (None, {"endpoint": f"file://{tmp_path}/spans.jsonl"}):
        project = MagnusProject(tmp_path, magnus_python, store, telemetry)
        run_id = f"wrapped-{telemetry is not None}"
        done = project.execute("regions", run_id).succeeded()
        assert password not in done.output
        assert password not in json.dumps(project.log(run_id))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"type": "sql", "config": {"connection_string": "postgresql://u:canary@h/d", "nme": 1}}, "nme"),
        ({"type": "otel", "config": {"inner": {"type": "sql", "config": {"table_name": "canary x"}}}}, "inner.config."),
        (
            {
                "type": "otel",
                "config": {"inner": dict(FILE_SYSTEM), "telemetry": {"headers": {"a": "canary"}, "endpont": ""}},
            },
            "run_log_store.config.telemetry.endpont: unknown key",
        ),
    ],
    ids=["sql", "inner", "telemetry"],
)
def test_a_wrong_config_is_told_without_secrets(
    tmp_path: Path, magnus_python: Path, config: dict[str, Any], told: str
) -> None:
    """magnus prints the whole config with its own error: secrets in it are masked by then."""
    project = MagnusProject(tmp_path, magnus_python, SQL)
    project.write_config({"run_log_store": config})
    done = project.execute("recovery", "r")
    assert done.returncode == 1
    assert told in done.output
    assert "canary@" not in done.output
    assert "'canary'" not in done.output


def test_what_magnus_s_parallel_branches_recorded_is_told(tmp_path: Path, magnus_python: Path) -> None:
    """magnus crashes when its parallel branches have ended: each process sent its attempts, the run says why."""
    spans = tmp_path / "spans.jsonl"
    project = MagnusProject(tmp_path, magnus_python, CHUNKED, {"endpoint": spans.as_uri()})
    config = json.loads((project.folder / "config.yaml").read_text())
    project.write_config(config | {"executor": {"type": "local", "config": {"enable_parallel": True}}})
    done = project.execute("side_by_side", "r")
    assert (done.returncode, "telemetry failed" in done.output) == (1, False)
    assert "got multiple values for keyword argument 'map_variable'" in done.output
    assert sorted(re.findall(r'"name": ?"([^"]+ attempt)"', spans.read_text())) == ["work attempt", "work attempt"]
    (run,) = [span for span in spans_in(spans).values() if span["name"] == "RUN side_by_side"]
    texts = {each["key"]: each["value"].get("stringValue") for each in run["attributes"]}
    assert (texts["cicd.pipeline.result"], texts["error.type"]) == ("error", "TypeError")
    assert (project.unsent(), [event["name"] for event in run["events"]]) == ([], ["exception"])


def test_an_interrupt_cancels_a_run(tmp_path: Path, magnus_python: Path) -> None:
    """Ctrl-C in a step; what is sent live is what an export sends."""
    spans = tmp_path / "spans.jsonl"
    project = MagnusProject(tmp_path, magnus_python, FILE_SYSTEM, {"endpoint": spans.as_uri()})
    assert project.execute("interrupted", "r").returncode != 0
    live = spans_in(spans)
    (run,) = [span for span in live.values() if span["name"] == "RUN interrupted"]
    texts = {each["key"]: each["value"].get("stringValue") for each in run["attributes"]}
    assert (texts["cicd.pipeline.result"], texts["error.type"]) == ("cancellation", "cancellation")
    spans.unlink()
    project.command("export", "r", "-c", "config.yaml").succeeded()
    assert spans_in(spans) == live


def test_the_attempt_is_current_while_its_code_runs(tmp_path: Path, magnus_python: Path) -> None:
    """To instrumentations in OpenTelemetry's context, to programs in TRACEPARENT; the caller's comes before."""
    project = MagnusProject(tmp_path, magnus_python, CHUNKED, {"endpoint": (tmp_path / "spans.jsonl").as_uri()})
    caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    done = project.execute("traced", "r", TRACEPARENT=caller).succeeded()
    spans = spans_in(tmp_path / "spans.jsonl").values()
    python, shell = (
        next(f"{span['traceId']}-{span['spanId']}" for span in spans if span["name"] == f"{name} attempt")
        for name in ("python", "shell")
    )
    assert outcome([done])[1] == [f"EVENT 00-{python}-01 {python}", f"EVENT 00-{shell}-01"]
    (root,) = (span for span in spans if span["name"] == "RUN traced")
    assert [link["traceId"] for link in root["links"]] == ["4bf92f3577b34da6a3ce929d0e0e4736"]


def test_pods_of_argo_tell_one_trace(tmp_path: Path, magnus_python: Path) -> None:
    """Each step is a process of its own, and none of them walks the graph; the last one tells the containers."""
    spans = tmp_path / "spans.jsonl"
    project = MagnusProject(tmp_path, magnus_python, CHUNKED, {"endpoint": spans.as_uri()})
    config = json.loads((project.folder / "config.yaml").read_text())
    project.write_config(config | {"executor": {"type": "argo", "config": {"image": "any"}}})
    for node in ("load", "say%hello", "later", "success"):
        pod = ("execute_single_node", "r", node, "-f", "sequential.yaml", "-c", "config.yaml")
        project.call("-m", "magnus.cli", *pod).succeeded()
    assert project.unsent() == []
    again = tmp_path / "again.jsonl"
    project.command("export", "r", "-c", "config.yaml", "--endpoint", again.as_uri()).succeeded()
    assert spans_in(spans) == spans_in(again)
    assert sorted(span["name"] for span in spans_in(spans).values()) == [
        "RUN sequential",
        "START sequential",
        "later",
        "later attempt",
        "load",
        "load attempt",
        "say hello",
        "say hello attempt",
    ]


def test_the_user_s_defaults_hold_where_no_config_is_given(tmp_path: Path, magnus_python: Path) -> None:
    """`magnus-config.yaml` with its key `defaults`, for magnus and for the command line."""
    project = MagnusProject(tmp_path, magnus_python, FILE_SYSTEM, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    config = json.loads((project.folder / "config.yaml").read_text())
    (project.folder / "magnus-config.yaml").write_text(json.dumps({"defaults": config}))
    project.call("-m", "magnus.cli", "execute", "-f", "recovery.yaml", "--run-id", "r").succeeded()
    shown = json.loads(project.command("show", "r", "--json").succeeded().output)
    assert (shown["pipeline"], shown["status"]) == ("recovery", "SUCCESS")
    shutil.rmtree(project.folder / ".run_log_store")
    assert "run 'r' is not in file-system store .run_log_store" in project.command("show", "r").output


_NAMED = """
from magnus import Pipeline, Stub
step = Stub(name="one", terminate_with_success=True)
Pipeline(steps=[step], start_at=step, name="train").execute(configuration_file="config.yaml", run_id="r")
"""


def test_a_pipeline_of_the_sdk_has_the_name_that_its_user_gave(tmp_path: Path, magnus_python: Path) -> None:
    """In spans and in lists; the host's log does not have it."""
    project = MagnusProject(tmp_path, magnus_python, FILE_SYSTEM, {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    project.call("-c", _NAMED).succeeded()
    assert {span["name"] for span in spans_in(tmp_path / "spans.jsonl").values()} >= {"RUN train", "START train"}
    listed = json.loads(project.command("runs", "--json", "-c", CONFIG).succeeded().output)
    assert [run["pipeline"] for run in listed["runs"]] == ["train"]
