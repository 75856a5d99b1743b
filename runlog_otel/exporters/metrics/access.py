"""Where a server listens, and who may read: the same for `/metrics` and for the pages."""

import base64
import hmac
import re

from runlog_otel.errors import ConfigError

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^][]+)\]|(?P<host>[^][:]+)):(?P<port>[0-9]{1,5})")


def address_from_text(listen: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[::1]:port`; raises ConfigError."""
    address = _ADDRESS.fullmatch(listen)
    if not address or int(address["port"]) > 65535:  # noqa: PLR2004 - TCP's
        raise ConfigError("listen", f"must be host:port, such as 127.0.0.1:9464 or [::1]:9464, not {listen!r}")
    return address["ipv6"] or address["host"], int(address["port"])


def is_login(authorization: str, credentials: str) -> bool:
    """Whether a header is of the scheme Basic, in any case (RFC 7617), and has the credentials."""
    scheme, _, login = authorization.strip().partition(" ")
    expected = base64.b64encode(credentials.encode())
    return hmac.compare_digest(login.strip().encode(), expected) and scheme.lower() == "basic"
