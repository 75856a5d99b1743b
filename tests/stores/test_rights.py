"""A role without a right: one line says what to grant, and the grant that it names is enough."""

import secrets
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import make_url

from runlog_otel.errors import StoreError
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunHistory
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers.postgres import Postgres
from tests.stores.conftest import run

ON_TABLES = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
ON_SEQUENCES = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
ON_SCHEMA = "GRANT USAGE ON SCHEMA public TO {role}"


class Granted:
    """A database whose owner is another role than the one that uses it."""

    def __init__(self, postgres: Postgres) -> None:
        self.owner_url = postgres.create_database()
        self.role = f"role_{secrets.token_hex(4)}"
        self.url = make_url(self.owner_url).set(username=self.role, password="p").render_as_string(hide_password=False)
        self.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC", f"CREATE ROLE {self.role} LOGIN PASSWORD 'p'")

    def sql(self, *statements: str) -> None:
        """Run statements as the owner."""
        with psycopg.connect(self.owner_url.replace("+psycopg", "")) as connection:
            for statement in statements:
                connection.execute(statement.format(role=self.role))

    def refused(self, call: Callable[[str], object]) -> str:
        """What the role is told."""
        with pytest.raises(StoreError) as caught:
            call(self.url)
        return str(caught.value).replace(make_url(self.url).database or "", "DATABASE").partition("DATABASE: ")[2]


@pytest.fixture
def granted(postgres: Postgres) -> Granted:
    """A database without any right of the role."""
    return Granted(postgres)


def write(url: str) -> None:
    database = Database(url)
    try:
        SqlStore(database).put(run("r"))
        RunHistory(SqlStore(database)).page()
    finally:
        database.close()


def test_each_missing_right_is_named(granted: Granted) -> None:
    """Schema, tables and sequences, in the order in which a role finds out."""
    create_tables(granted.owner_url)
    assert granted.refused(write) == (
        "the role may not use a schema of its search_path; GRANT USAGE ON SCHEMA public TO the role"
    )
    granted.sql(ON_SCHEMA)
    assert granted.refused(write) == (
        "the role has no right on table runnable_logs_version; "
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO the role"
    )
    granted.sql(ON_TABLES)
    assert granted.refused(write) == (
        "the role has no right on sequence runnable_logs_seq_seq; GRANT USAGE ON ALL SEQUENCES IN SCHEMA … TO the role"
    )
    granted.sql(ON_SEQUENCES)
    write(granted.url)


def test_a_role_that_only_reads_is_told_when_it_writes(granted: Granted) -> None:
    """It lists and reads all the same."""
    create_tables(granted.owner_url)
    write(granted.owner_url)
    granted.sql(ON_SCHEMA, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    store = SqlStore(Database(granted.url))
    assert [found.run_id for found in RunHistory(store).page().runs] == ["r"]
    store.database.close()
    assert granted.refused(write).startswith("the role has no right on table runnable_logs; GRANT SELECT, INSERT, ")


def test_an_upgrade_without_rights_is_told(granted: Granted) -> None:
    """To make tables, and to change those of another role."""
    granted.sql(ON_SCHEMA)
    assert granted.refused(create_tables) == (
        "the role has no right on schema public; "
        "GRANT USAGE, and for `runlog-otel db upgrade` CREATE, ON SCHEMA public TO the role"
    )
    create_tables(granted.owner_url)
    granted.sql("DROP INDEX runnable_logs_by_updated", "UPDATE runnable_logs_version SET version_num = '0001'")
    granted.sql(ON_TABLES, "GRANT CREATE ON SCHEMA public TO {role}")
    assert granted.refused(create_tables) == (
        "the tables are another role's; let their owner run `runlog-otel db upgrade`"
    )


def test_a_database_that_a_role_may_not_enter_is_told(granted: Granted) -> None:
    """At once."""
    name = make_url(granted.url).database
    granted.sql(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    assert granted.refused(write) == (
        "the role has no right on database DATABASE; GRANT CONNECT ON DATABASE DATABASE TO the role"
    )


def test_a_server_that_only_reads_is_told(granted: Granted) -> None:
    """As a standby does; it is read all the same."""
    create_tables(granted.owner_url)
    name = make_url(granted.url).database
    granted.sql(ON_SCHEMA, ON_TABLES, ON_SEQUENCES, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = Database(granted.url)
    assert RunHistory(SqlStore(database)).page().runs == ()
    database.close()
    assert granted.refused(write) == "the server only reads; name the primary, or ?target_session_attrs=read-write"
