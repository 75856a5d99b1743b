"""Connection strings: placeholders filled, drivers named, secrets masked. Imports no SQLAlchemy."""

import re
from collections.abc import Callable
from string import Template

from runlog_otel.errors import ConfigError
from runlog_otel.redaction import MASK, redacted

_CREDENTIALS = re.compile(r"(?<=://).*@", re.DOTALL)
_DRIVERS = {"postgresql://": "postgresql+psycopg://", "postgres://": "postgresql+psycopg://"}


def masked(connection_string: str) -> str:
    """The string without what may be a secret: everything up to the last `@`, and assigned secrets of the query."""
    return redacted(_CREDENTIALS.sub(f"{MASK}@", connection_string))


def filled(connection_string: str, secret: Callable[[str], str | None], where: str = "connection_string") -> str:
    """The string with its `${name}` placeholders filled, and a driver that is ours named.

    Arguments:
        connection_string: a SQLAlchemy URL, `postgresql://` meaning psycopg 3.
        secret: gives the value of a name, or None when it has none. Values are put in as they are
            (`string.Template.safe_substitute`, as magnus's database store does it): percent-encode them for a URL.
        where: the place of the string, for messages.

    Raises:
        ConfigError: a placeholder has no value.
    """
    names = placeholders(connection_string)
    values = {name: value for name in names if (value := secret(name)) is not None}
    missing = [name for name in names if name not in values]
    if missing:
        raise ConfigError(where, f"no secret and no environment variable is named {', '.join(missing)}")
    return with_driver(Template(connection_string).safe_substitute(values))


def with_driver(text: str) -> str:
    """The URL with a driver that is ours named, where it names none."""
    for short, full in _DRIVERS.items():
        if text.startswith(short):
            return full + text[len(short) :]
    return text


def is_in_memory(connection_string: str) -> bool:
    """Whether the string names a SQLite database that lives in this process only."""
    if not connection_string.startswith("sqlite"):
        return False
    _, _, path = connection_string.partition("://")
    return path.split("?", 1)[0] in ("", "/", "/:memory:") or "mode=memory" in path


def placeholders(connection_string: str) -> list[str]:
    """The names in its `${name}` placeholders."""
    return [name for match in Template.pattern.finditer(connection_string) if (name := match.group("braced"))]
