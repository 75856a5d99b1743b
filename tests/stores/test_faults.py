"""What goes wrong with a database is told in one line without a secret, and damages nothing."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, make_url

from runlog_otel.errors import ConfigError, SchemaVersionError, StoreError, StoreUnavailableError
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers.loopback import free_ports
from tests.stores.conftest import run, step

SECRET = "hunter2-very-secret"


def opened(url: str, **options: Any) -> SqlStore:
    return SqlStore(Database(url, **{"timeout_seconds": 0.3, **options}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite database with one run."""
    path = tmp_path / "runs.db"
    store = opened(f"sqlite:///{path}")
    store.put(run("kept", steps={"a": step("a")}))
    store.database.close()
    return path


def refused(store: SqlStore, call: Any = None) -> StoreError:
    with pytest.raises(StoreError) as caught:
        (call or (lambda: store.create(run("new"))))()
    store.database.close()
    return caught.value


def test_a_locked_database(file: Path) -> None:
    """A writer that does not end is told; when it has ended, the same call succeeds."""
    store = opened(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = refused(store)
    assert (type(error), str(error)) == (
        StoreUnavailableError,
        f"sqlite:///{file}: the database is locked by another writer; raise timeout_seconds, or look for a stuck one",
    )
    assert store.header("kept")["run_id"] == "kept"
    other.close()
    store.create(run("new"))
    store.database.close()


def test_a_read_only_database(file: Path) -> None:
    """Reading goes on; writing is refused."""
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    store = opened(url)
    assert store.header("kept")["run_id"] == "kept"
    assert str(refused(store)) == (f"{url}: the database is read-only; check the rights of the file and of its folder")


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Databases that cannot grow beyond 25 pages."""

    def limit(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 25")

    event.listen(Engine, "connect", limit)
    yield
    event.remove(Engine, "connect", limit)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk(file: Path) -> None:
    """What does not fit is refused as a whole, and what was there is there."""
    store = opened(f"sqlite:///{file}")
    big = run("big", parameters={"a": "x" * 50_000, "b": "x" * 50_000})
    error = refused(store, lambda: store.put(big))
    assert str(error) == (f"sqlite:///{file}: the disk or the database is full; free space, or `runlog-otel db prune`")
    assert store.document("kept")["steps"] == {"a": step("a")}
    with pytest.raises(LookupError):
        store.document("big")
    store.database.close()


def test_a_corrupted_database(file: Path) -> None:
    """A file with holes is told, not repaired."""
    damaged = bytearray(file.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    file.write_bytes(damaged)
    store = opened(f"sqlite:///{file}")
    assert str(refused(store)) == (f"sqlite:///{file}: the database is corrupted; restore a backup: see docs/stores.md")
    assert file.read_bytes() == damaged


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Another file is left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)
    error = refused(opened(f"sqlite:///{file}"))
    assert str(error) == f"sqlite:///{file}: the file is not a SQLite database; check connection_string"
    assert file.read_text() == "not a database " * 100


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands where the folder should."""
    (tmp_path / "taken").write_text("")
    url = f"sqlite:///{tmp_path}/taken/runs.db"
    assert str(refused(opened(url))) == f"{url}: its folder cannot be made: File exists"


def test_a_file_that_tools_expect(tmp_path: Path) -> None:
    """A tool that only looks does not make an empty database of a typing error."""
    url = f"sqlite:///{tmp_path}/runs.bd"
    assert str(refused(opened(url, must_exist=True))) == f"{url}: the file does not exist; check connection_string"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("0000", "the tables are of version 0000, older than 0003 of this program; run `runlog-otel db upgrade`"),
        ("9999", "the tables are of version 9999, newer than 0003 of this program; upgrade runlog-otel"),
    ],
)
def test_tables_of_another_version(url: str, version: str, told: str) -> None:
    """Neither an older nor a newer schema is written to."""
    database = Database(url, creates_tables=False)
    database.write(
        lambda connection: connection.exec_driver_sql(f"UPDATE runnable_logs_version SET version_num = '{version}'")
    )
    database.close()
    store = opened(url, creates_tables=False, timeout_seconds=5)
    error = refused(store)
    assert (type(error), str(error)) == (SchemaVersionError, f"{store.database.where}: {told}")


def test_a_server_without_tables(postgres: Any) -> None:
    """On a server nothing makes tables but `db upgrade`."""
    store = opened(postgres.create_database(), timeout_seconds=5)
    error = refused(store)
    assert (type(error), error.reason) == (SchemaVersionError, "the tables are not there")


def test_a_server_that_is_not_there() -> None:
    """Nobody listens: the call is tried until its deadline, and says so."""
    port = free_ports(1)[0]
    error = refused(opened(f"postgresql+psycopg://user:{SECRET}@127.0.0.1:{port}/runs"))
    assert type(error) is StoreUnavailableError
    assert error.reason.startswith("the server cannot be reached: connection failed")
    assert SECRET not in str(error)


def test_a_wrong_password(postgres: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """It is told at once, and the password stands nowhere: not in the error, its causes, or any log."""
    caplog.set_level(logging.DEBUG)
    url = make_url(postgres.create_database()).set(password=SECRET).render_as_string(hide_password=False)
    store = opened(url, timeout_seconds=30)
    error = refused(store)
    assert error.reason == "the server refused the password"
    assert SECRET not in f"{error!r}{error.__cause__!r}{store.database!r}{caplog.text}{capfd.readouterr()}"


def test_a_fault_is_known_whatever_the_password_is(postgres: Any) -> None:
    """A password that is a part of the server's words hides none of them."""
    url = make_url(postgres.create_database()).set(password="pass").render_as_string(hide_password=False)
    assert refused(opened(url, timeout_seconds=30)).reason == "the server refused the password"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """It is told as what it is."""
    assert str(refused(opened(f"sqlite:///{tmp_path}"))) == f"sqlite:///{tmp_path}: it is a folder; name a file in it"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "'' is no URL of a database; write sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
        (
            "sqlite:runs.db",
            "'sqlite:runs.db' is no URL of a database; write sqlite:///FILE or postgresql://USER@HOST/DATABASE",
        ),
        (
            "sqlite://runs.db",
            "sqlite://runs.db has a host, but SQLite has none; with three slashes it is sqlite:///runs.db",
        ),
        (
            "sqlite://a/b.db",
            "sqlite://a/b.db has a host, but SQLite has none; with three slashes it is sqlite:///a/b.db",
        ),
        ("sqlite:///~/runs.db", f"in sqlite:///~/runs.db write the folder for ~: sqlite:///{Path.home()}/runs.db"),
        ("sqlite:///C:\\runs.db", "sqlite:///C:\\runs.db is a Windows path, but this machine does not run Windows"),
        ("sqlite:///a%00b", "a file name must not contain NUL"),
        (
            "sqlite:///a.db?mode=ro",
            "sqlite:///a.db?mode=ro has an unknown option mode; SQLite's own need uri=true and a file:PATH",
        ),
        (
            f"sqlite:///a?foo=1&password={SECRET}",
            "sqlite:///a?foo=1&password=******** has an unknown option foo; SQLite's own need uri=true and a file:PATH",
        ),
        (
            "postgresql+asyncpg://h/d",
            "postgresql+asyncpg is not supported; write sqlite:///FILE or postgresql://USER@HOST/DATABASE",
        ),
        (f"postgresql://u:{SECRET}@x@h/d", "in postgresql://********@h/d write the @ of the password as %40"),
    ],
)
def test_a_url_that_means_no_database_of_ours_is_told(url: str, told: str) -> None:
    """In one line that says what to write."""
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert str(caught.value) == f"connection_string: {told}"


def test_a_wrong_value_of_an_option_is_told(tmp_path: Path) -> None:
    """SQLite's, and the lists of hosts and ports of PostgreSQL."""
    for url, told in (
        (f"sqlite:///{tmp_path}/a.db?timeout=x", "could not convert string to float: 'x'"),
        ("postgresql://h/d?host=a,b&port=1,2,3", "number of hosts and ports don't match"),
    ):
        with pytest.raises(ConfigError) as caught:
            Database(url).read(lambda connection: None)
        assert str(caught.value).endswith(f": {told}")


def test_one_of_several_hosts_is_enough(postgres: Any) -> None:
    """As libpq takes them: a host that does not answer, and then the server."""
    url = make_url(postgres.create_database())
    several = url.render_as_string(hide_password=False).replace(
        f"{url.host}:{url.port}", f"127.0.0.1:{free_ports(1)[0]},{url.host}:{url.port}"
    )
    create_tables(several)
    store = opened(f"{several}?target_session_attrs=read-write", timeout_seconds=30)
    store.put(run("r"))
    assert store.document("r")["run_id"] == "r"
    store.database.close()


def test_a_database_that_does_not_exist(postgres: Any) -> None:
    """A typing error is told at once, not tried again until the deadline."""
    url = make_url(postgres.url).set(database="absent").render_as_string(hide_password=False)
    error = refused(opened(url, timeout_seconds=600))
    assert 'database "absent" does not exist' in error.reason


@pytest.mark.parametrize(
    "url",
    ["mysql://h/d", "postgresql+asyncpg://h/d", "no url", f"nonsense://u:{SECRET}@h", f"postgresql://u:{SECRET}@h:x/d"],
)
def test_a_wrong_url(url: str) -> None:
    """A URL that is none, or of another database, is told without its password."""
    with pytest.raises(ConfigError) as caught:
        Database(url)
    assert SECRET not in f"{caught.value!r}"
    assert caught.value.where == "connection_string"


@pytest.mark.parametrize("name", ["", "1st", "a-b", 'x"; DROP TABLE y', "x" * 41, "schema.table"])
def test_a_wrong_table_name(name: str) -> None:
    """Only plain identifiers become SQL."""
    with pytest.raises(ConfigError):
        Database("sqlite://", table_name=name)


def test_no_secret_is_logged_at_debug_level(
    postgres: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A whole life of a run at level DEBUG shows no password."""
    caplog.set_level(logging.DEBUG)
    url = postgres.create_database()
    create_tables(url)
    store = opened(url, timeout_seconds=5)
    store.put(run("r", steps={"a": step("a")}))
    store.document("r")
    store.database.close()
    password = make_url(url).password
    assert password
    assert password not in f"{caplog.text}{capfd.readouterr()}{store.database!r}{store.database.where}"
