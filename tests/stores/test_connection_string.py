"""Connection strings."""

import pytest

from runlog_otel.errors import ConfigError
from runlog_otel.stores.connection_string import filled, is_in_memory, masked


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


def test_a_placeholder_without_a_value_is_refused() -> None:
    """A name that no secret has is told, instead of trying a password of `${NAME}`."""
    with pytest.raises(ConfigError, match=r"connection_string: no secret and no environment variable is named NAME$"):
        filled("postgresql://u:${NAME}@db/runs", lambda _: None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///runs.db", False),
        ("sqlite:////runs.db", False),
        ("postgresql://db/memory", False),
    ],
)
def test_databases_in_memory_are_known(text: str, expected: bool) -> None:
    """Only SQLite without a file is gone when the process is."""
    assert is_in_memory(text) is expected
