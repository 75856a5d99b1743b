"""HTTP exchanges that end in time: one deadline for all operations of a request, however slowly bytes drip in."""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from runlog_otel.http_direct import DirectClient
from runlog_otel.proxies import proxy_of

if TYPE_CHECKING:
    from runlog_otel.http_proxied import ProxiedClient


def client_of(
    url: str, headers: Mapping[str, str], answer_limit: int, ssl_context: ssl.SSLContext | None
) -> "DirectClient | ProxiedClient":
    """A client for one server, by its proxy if it has one; it connects with the first request.

    Args:
        url: any URL of the server.
        headers: of each request.
        answer_limit: how many bytes an answer may have.
        ssl_context: for `https`.

    Raises:
        ConfigError: a variable does not name a proxy.
    """
    proxy = proxy_of(url)
    if proxy is None:
        return DirectClient(url, headers, answer_limit, ssl_context)
    from runlog_otel.http_proxied import ProxiedClient

    return ProxiedClient(url, headers, answer_limit, ssl_context, proxy)
