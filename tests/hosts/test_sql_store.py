"""The SQL store as runnable's plugin: config, secrets, processes."""

import json
import multiprocessing
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from extensions.secrets.dotenv import DotEnvSecrets
from runnable import context
from runnable.datastore import RunLog
from runnable.secrets import DoNothingSecretManager, EnvSecretsManager

from runlog_otel.errors import ConfigError, StoreError
from runlog_otel.hosts.runnable.stores import MemoryRunLogStore, SqlRunLogStore

SECRET = "hunter2-very-secret"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlRunLogStore]:
    made = SqlRunLogStore(connection_string=f"sqlite:///{tmp_path}/runs.db")
    yield made
    made.close()


def loaded(config: dict[str, Any], kind: str = "sql") -> Any:
    """The store as the host makes it of a config."""
    return context.get_service_by_name("run_log_store", {"type": kind, "config": config}, None)


@pytest.mark.parametrize(
    ("kind", "made"), [("sql", SqlRunLogStore), ("db", SqlRunLogStore), ("memory", MemoryRunLogStore)]
)
def test_the_host_finds_the_stores_by_their_types(kind: str, made: type) -> None:
    """`type: sql`, `type: db` and `type: memory` load without an import by the user."""
    config = {} if kind == "memory" else {"connection_string": "sqlite:///:memory:"}
    assert type(loaded(config, kind)) is made


def test_the_fields_and_their_defaults() -> None:
    """The documented names and defaults are in force, and a dump of them is JSON."""
    store = loaded({"connection_string": f"postgresql://user:{SECRET}@db/runs"})
    assert json.loads(json.dumps(store.model_dump())) == {
        "service_name": "sql",
        "service_type": "run_log_store",
        "supports_parallel_writes": True,
        "connection_string": "postgresql://********@db/runs",
        "table_name": "runnable_logs",
        "retention_days": 90,
        "enable_compression": True,
        "max_connections": 20,
        "timeout_seconds": 30,
    }
    assert store.get_summary() == {
        "Type": "sql",
        "Location": "postgresql://********@db/runs",
        "Table": "runnable_logs",
        "Retention (days)": 90,
        "Compression": True,
    }


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"retention_days": -1}, "retention_days"),
        ({"table_name": "a b"}, "table_name"),
        ({"conection_string": "x"}, "conection_string"),
        ({"max_connections": "many"}, "max_connections"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_a_wrong_config_is_told_without_its_secret(wrong: dict[str, Any], told: str) -> None:
    """The message names the field; neither it nor what the host prints around it holds the password."""
    with pytest.raises(Exception, match="Could not find the service") as caught:
        loaded({"connection_string": f"postgresql://user:{SECRET}@db/runs", **wrong})
    assert told in str(caught.value.__cause__)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}"


def test_a_missing_connection_string_is_told() -> None:
    """There is no default: where run logs go is the user's decision."""
    with pytest.raises(ValueError, match="connection_string"):
        SqlRunLogStore()  # type: ignore[call-arg]


def test_the_secret_is_nowhere_that_is_printed() -> None:
    """Neither repr, str, the dumps nor the pickle's config as shown hold the password."""
    store = SqlRunLogStore(connection_string=f"postgresql://user:{SECRET}@db/runs?sslpassword={SECRET}")
    shown = [repr(store), str(store), store.model_dump(), store.model_dump_json(), store.get_summary()]
    assert SECRET not in f"{shown}{store.documents.database!r}"


def test_a_database_in_memory_has_no_parallel_writers() -> None:
    """The host must not send branches to processes that cannot see the database."""
    assert SqlRunLogStore(connection_string="sqlite:///:memory:").supports_parallel_writes is False


@pytest.mark.parametrize("secrets", [None, DoNothingSecretManager(), EnvSecretsManager()])
def test_placeholders_take_secrets_of_the_host_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Any
) -> None:
    """`${NAME}` is filled when the store is used; what is shown keeps the placeholder."""
    monkeypatch.setenv("RUNS_FOLDER", str(tmp_path))
    monkeypatch.setattr(context, "get_run_context", lambda: None)
    if secrets is not None:
        context.set_run_context(SimpleNamespace(secrets=secrets))
    store = loaded({"connection_string": "sqlite:///${RUNS_FOLDER}/runs.db"})
    store.create_run_log("r")
    store.close()
    context.set_run_context(None)
    assert (tmp_path / "runs.db").exists()
    assert store.model_dump()["connection_string"] == "sqlite:///${RUNS_FOLDER}/runs.db"


def test_a_secret_stays_out_of_the_context_that_the_host_dumps(tmp_path: Path) -> None:
    """The host's manager of `.env` files would keep what it read in a field, which goes into the run log."""
    (tmp_path / ".env").write_text(f"RUNS_FOLDER={tmp_path}\n")
    manager = DotEnvSecrets(location=str(tmp_path / ".env"))
    context.set_run_context(SimpleNamespace(secrets=manager))
    store = loaded({"connection_string": "sqlite:///${RUNS_FOLDER}/runs.db"})
    store.create_run_log("r")
    store.close()
    context.set_run_context(None)
    assert (manager.secrets, (tmp_path / "runs.db").exists()) == ({}, True)


def test_a_placeholder_without_a_secret_is_told() -> None:
    """The name that is missing is in the message."""
    store = SqlRunLogStore(connection_string="postgresql://user:${NO_SUCH_SECRET}@db/runs")
    with pytest.raises(ConfigError, match="NO_SUCH_SECRET"):
        store.get_run_log_by_id("r")


def test_a_changed_config_is_used(store: SqlRunLogStore, tmp_path: Path) -> None:
    """Integrations of the host change fields after the store was made; the next call goes by them."""
    store.create_run_log("r")
    store.connection_string = f"sqlite:///{tmp_path}/other.db"  # type: ignore[assignment]
    store.create_run_log("r")
    assert (tmp_path / "other.db").exists()


def test_a_store_error_is_not_a_missing_run(tmp_path: Path) -> None:
    """A broken database is told as what it is, not as a run log that is not found."""
    (tmp_path / "runs.db").write_text("no database " * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        SqlRunLogStore(connection_string=f"sqlite:///{tmp_path}/runs.db").get_run_log_by_id("r")


def _read_and_write(store: SqlRunLogStore, name: str) -> str:
    step = store.create_step_log(name, name)
    store.add_step_log(step, "r")
    return str(store.get_run_log_by_id("r").status)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_pool_workers_share_the_database_and_not_the_connections(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, method: str
) -> None:
    """A store that was used is pickled into workers of every start method, and works in all of them and afterwards."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/runs.db"
    else:
        from runlog_otel.stores.sql.upgrade import create_tables

        url = request.getfixturevalue("postgres").create_database()
        create_tables(url)
    store = SqlRunLogStore(connection_string=url)
    store.create_run_log("r", status="PROCESSING")
    names = [f"step-{number}" for number in range(8)]
    with multiprocessing.get_context(method).Pool(4) as pool:
        statuses = pool.starmap(_read_and_write, [(store, name) for name in names], chunksize=1)
    assert statuses == ["PROCESSING"] * 8
    assert sorted(store.get_run_log_by_id("r", full=True).steps) == names
    store.close()


def test_a_forked_child_uses_connections_of_its_own(store: SqlRunLogStore) -> None:
    """Without pickling: child and parent write at once, through the same object."""
    store.create_run_log("r")
    pids = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for number in range(20):
                    _read_and_write(store, f"{child}-{number}")
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    for number in range(20):
        _read_and_write(store, f"parent-{number}")
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0, 0]
    assert len(store.get_run_log_by_id("r", full=True).steps) == 100


def test_a_pickle_holds_no_connection(store: SqlRunLogStore) -> None:
    """The copy opens its own when it is used."""
    store.create_run_log("r")
    copy = pickle.loads(pickle.dumps(store))
    assert copy.get_run_log_by_id("r") == RunLog(run_id="r", dag_hash="", status="CREATED")
    copy.close()
