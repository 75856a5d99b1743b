"""Connection strings."""

import pytest

from runlog_otel.errors import ConfigError
from runlog_otel.stores.connection_string import filled, is_in_memory, masked, with_driver


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////data/runs.db", "sqlite:////data/runs.db"),
        ("postgresql://u:hunter2@db:5432/runs", "postgresql://********@db:5432/runs"),
        ("postgresql://u:hun/t@er:2@db/runs", "postgresql://********@db/runs"),
        ("postgresql://db/runs?user=u&password=hunter2", "postgresql://db/runs?user=u&password=********"),
        ("postgresql://${USER}:${PASSWORD}@db/runs", "postgresql://********@db/runs"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    """What people are shown of a connection string has no user and no password."""
    assert masked(text) == shown


def test_placeholders_are_filled_and_the_driver_is_named() -> None:
    """`${name}` takes the secret of that name; a plain postgresql URL means psycopg 3."""
    secrets = {"DB_PASSWORD": "hunter2"}
    assert filled("postgresql://u:${DB_PASSWORD}@db/runs", secrets.get) == "postgresql+psycopg://u:hunter2@db/runs"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:a$$b@db/runs", "postgresql+psycopg://u:a$$b@db/runs"),
        ("postgresql://u:$DB_PASSWORD@db/runs", "postgresql+psycopg://u:$DB_PASSWORD@db/runs"),
        ("postgresql://u:$${DB_PASSWORD}@db/runs", "postgresql+psycopg://u:$a$$b\\1@db/runs"),
        ("postgresql://u:${DB_PASSWORD@db/${1}", "postgresql+psycopg://u:${DB_PASSWORD@db/${1}"),
    ],
)
def test_nothing_but_placeholders_is_filled(text: str, expected: str) -> None:
    """Dollars of a password stay, in the string and in what is put in."""
    assert filled(text, {"DB_PASSWORD": "a$$b\\1"}.get) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SQLite:///Runs.db", "sqlite:///Runs.db"),
        ("Postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u:p,w@h/d?sslmode=require", "postgresql+psycopg://u:p,w@h/d?sslmode=require"),
        ("postgresql://h1,h2/d", "postgresql+psycopg:///d?host=h1%2Ch2"),
        (
            "postgresql://u:p/?w@h1:5432,h2/d?target_session_attrs=any",
            "postgresql+psycopg://u:p/?w@/d?host=h1%2Ch2&port=5432%2C&target_session_attrs=any",
        ),
        ("postgresql://[::1]:5433,[::2]/d", "postgresql+psycopg:///d?host=%3A%3A1%2C%3A%3A2&port=5433%2C"),
        ("postgresql://u@%2Frun%2Fpg/d", "postgresql+psycopg://u@/d?host=/run/pg"),
        ("postgresql://u:a@b,c@h/d", "postgresql+psycopg://u:a@b,c@h/d"),
        ("folder/file.json", "folder/file.json"),
    ],
)
def test_urls_are_made_what_sqlalchemy_takes(text: str, expected: str) -> None:
    """In any case of letters, and with the hosts of libpq's own form."""
    assert with_driver(text) == expected


def test_a_placeholder_without_a_value_is_refused() -> None:
    """A name that no secret has is told, instead of trying a password of `${NAME}`."""
    with pytest.raises(ConfigError, match=r"connection_string: no secret and no environment variable is named NAME$"):
        filled("postgresql://u:${NAME}@db/runs", lambda _: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("SQLite:///:memory:", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///runs.db", False),
        ("sqlite:////runs.db", False),
        ("postgresql://db/memory", False),
    ],
)
def test_databases_in_memory_are_known(text: str, expected: bool) -> None:
    """Only SQLite without a file is gone when the process is."""
    assert is_in_memory(text) is expected
