"""OTLP endpoints: which are valid for a protocol, and their parts. Pure."""

import re
from base64 import b64encode
from urllib.parse import unquote, urlsplit, urlunsplit

_EXPECTED = "must be http://host:port, https://host:port or file:///path"
_EXPECTED_GRPC = f"{_EXPECTED}; for grpc also host:port, dns:///host:port or unix:///path"
_PLAIN = r"[\x21-\x7e]+"
_GRPC_NAME = r"(?:dns|unix|unix-abstract|ipv4|ipv6|vsock|xds):/{0,3}[^/\s]"


def checked_endpoint(endpoint: str, protocol: str) -> str:
    """The endpoint with its scheme in lower case.

    Raises:
        ValueError: nothing can be sent there by this protocol; says what was expected.
    """
    endpoint = endpoint.strip()
    if not endpoint:
        raise ValueError("must not be empty")
    is_grpc, is_plain = protocol == "grpc", re.fullmatch(_PLAIN, endpoint) is not None
    if is_grpc and is_plain and is_grpc_name(endpoint):
        return endpoint
    scheme, separator, rest = endpoint.partition(":")
    try:
        parts = urlsplit(endpoint if "://" in endpoint or scheme.lower() == "file" else f"//{endpoint}")
        _ = parts.port
        is_host = bool(parts.hostname) and not endpoint.endswith(":") and is_plain
    except ValueError:  # a port that is not a number, unbalanced brackets
        is_host = False
    else:
        if parts.scheme == "file" and parts.path.isprintable() and parts.path and parts.netloc in ("", "localhost"):
            return f"file{separator}{rest}"
        if is_host and parts.scheme in ("http", "https"):
            return f"{parts.scheme}{separator}{rest}"
        if is_host and is_grpc and not (parts.scheme or parts.path or parts.query):
            return endpoint
    raise ValueError(_EXPECTED_GRPC if is_grpc else _EXPECTED)


def is_grpc_name(endpoint: str) -> bool:
    """Whether gRPC resolves the address itself: a socket file, or a name with the resolver's scheme."""
    return re.match(_GRPC_NAME, endpoint, re.IGNORECASE) is not None


def signal_url(endpoint: str, signal: str) -> str:
    """The URL of a signal below a base URL; a query stays a query (OTLP exporter specification, "Endpoint URLs")."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/v1/{signal}", fragment=""))


def base_url(url: str, signal: str) -> str:
    """The base URL that `signal_url` made a URL of; empty if the URL is another."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    suffix = f"/v1/{signal}"
    return urlunsplit(parts._replace(path=path.removesuffix(suffix))) if path.endswith(suffix) else ""


def authorization_of(url: str) -> dict[str, str]:
    """The header with the login of a URL; empty without one."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"authorization": f"Basic {b64encode(login.encode()).decode()}"}


def without_login(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
