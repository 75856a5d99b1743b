"""What may leave: text without credentials, bounded and encodable; configs with their secrets masked."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from runlog_otel.names import MAX_ATTRIBUTE_BYTES

MASK = "********"
_CUT = "…"
_URL_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@'\"]*(?::[^/\s'\"]*)?@")
_BEARER = re.compile(r"\b(?P<kind>Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?P<key>[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|credential)[\w-]*['\"]?\s*[=:]\s*)"
    r"(?P<quote>['\"]?)[^\s'\",;&]+",
    re.IGNORECASE,
)
_SECRET_KEY = re.compile(r"pass|secret|token|key|credential|auth|connection|headers|dsn", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text with credentials of URLs, bearer tokens and assigned secrets masked."""
    text = _URL_CREDENTIALS.sub(rf"\g<scheme>{MASK}@", text)
    text = _BEARER.sub(rf"\g<kind> {MASK}", text)
    return _ASSIGNED.sub(rf"\g<key>\g<quote>{MASK}", text)


def bounded(text: str, limit: int = MAX_ATTRIBUTE_BYTES) -> str:
    """The text in at most `limit` bytes of UTF-8; what UTF-8 cannot say (lone surrogates) is replaced."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT


def bounded_names(names: Iterable[str], limit: int = MAX_ATTRIBUTE_BYTES) -> tuple[str, ...]:
    """As many names as fit into `limit` bytes together; the last one then says that there were more."""
    kept: list[str] = []
    room = limit - len(_CUT.encode())
    for name in map(bounded, names):
        room -= len(name.encode())
        if room < 0:
            return (*kept, _CUT)
        kept.append(name)
    return tuple(kept)


def url_without_credentials(url: str) -> str:
    """The URL without user, password and query: what may stand in a span, a log line or on a screen."""
    redacted_url = _URL_CREDENTIALS.sub(r"\g<scheme>", url)
    return redacted_url.split("?", 1)[0]


def masked(config: Any, key: str = "") -> Any:
    """A copy of a config value for people: secrets by name, and credentials in URLs, are masked."""
    if isinstance(config, Mapping):
        return {
            name: masked(value, str(name) if not _SECRET_KEY.search(key) else key) for name, value in config.items()
        }
    if isinstance(config, list | tuple):
        return [masked(value, key) for value in config]
    if config is None or isinstance(config, bool):
        return config
    if _SECRET_KEY.search(key):
        return MASK
    return redacted(config) if isinstance(config, str) else config


def mask_in_place(config: Any) -> None:
    """Mask a config where it stands: the host is about to print it (`runnable.context.get_service_by_name`)."""
    if isinstance(config, dict):
        config.update(masked(config))


def origin(url: str) -> str:
    """Scheme, host and port of a URL, for messages."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}:{parts.port}" if parts.port else f"{parts.scheme}://{host}"
