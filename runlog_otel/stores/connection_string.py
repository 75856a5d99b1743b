"""Connection strings: placeholders filled, drivers named, secrets masked. Imports no SQLAlchemy."""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from runlog_otel.core.redaction import MASK, redacted
from runlog_otel.errors import ConfigError

WANTED = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_CREDENTIALS = re.compile(r"(?<=://).*@", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_SERVER = re.compile(r"((?:[^:/]*(?::[^@]*)?@)?)([^/?@]*)((?:/[^?]*)?)(?:\?(.*))?", re.DOTALL)


def masked(connection_string: str) -> str:
    """The string without what may be a secret: everything up to the last `@`, and assigned secrets of the query."""
    return redacted(_CREDENTIALS.sub(f"{MASK}@", connection_string))


def filled(connection_string: str, secret: Callable[[str], str | None], where: str = "connection_string") -> str:
    """The string with its `${name}` placeholders filled, and a driver that is ours named.

    Arguments:
        connection_string: a URL as `with_driver` takes it.
        secret: gives the value of a name, or None when it has none. Values are put in as they are: percent-encode
            them for a URL. Nothing else is changed: `$$` and `$name` stay.
        where: the place of the string, for messages.

    Raises:
        ConfigError: a placeholder has no value.
    """
    names = placeholders(connection_string)
    values = {name: value for name in names if (value := secret(name)) is not None}
    missing = [name for name in names if name not in values]
    if missing:
        raise ConfigError(where, f"no secret and no environment variable is named {', '.join(missing)}")
    return with_driver(_PLACEHOLDER.sub(lambda match: values[match[1]], connection_string))


def with_driver(text: str) -> str:
    """The URL as SQLAlchemy takes it: a driver that is ours is named where there is none, and so are libpq's hosts.

    Libpq takes several hosts (`h1:5432,h2/db`) and the folder of a socket (`%2Frun%2Fpostgresql`) where SQLAlchemy
    takes one host: they go into the query.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    scheme = _DRIVERS.get(scheme.lower(), scheme.lower())
    if scheme.startswith("postgresql") and (parts := _SERVER.fullmatch(rest)):
        credentials, hosts, database, query = parts.groups("")
        if "," in hosts or "%" in hosts:
            named = _hosts_in_query(hosts)
            rest = f"{credentials}{database}?{named}{'&' if query else ''}{query}"
    return f"{scheme}://{rest}"


def _hosts_in_query(hosts: str) -> str:
    matches = [re.fullmatch(r"(\[[^\]]*\]|[^:]*):?(.*)", host) for host in hosts.split(",")]
    pairs = [match.groups() for match in matches if match]
    names, ports = ",".join(unquote(name).strip("[]") for name, _ in pairs), ",".join(port for _, port in pairs)
    return f"host={quote(names)}" + (f"&port={quote(ports)}" if ports.strip(",") else "")


def is_in_memory(connection_string: str) -> bool:
    """Whether the string names a SQLite database that lives in this process only."""
    scheme, _, path = connection_string.partition("://")
    if not scheme.lower().startswith("sqlite"):
        return False
    # SQLAlchemy 2.1 writes `:memory:` with percent signs.
    return unquote(path.split("?", 1)[0]) in ("", "/", "/:memory:") or "mode=memory" in path


def placeholders(connection_string: str) -> list[str]:
    """The names in its `${name}` placeholders."""
    return _PLACEHOLDER.findall(connection_string)
