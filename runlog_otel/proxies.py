"""Which proxy a URL is reached by: the usual variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

The libraries that read NO_PROXY are HTTP clients themselves and know no IPv6 ranges; so its entries are read here.
"""

import os
import sys
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

import httpcore

from runlog_otel.errors import ConfigError

_PORTS = {"http": 80, "https": 443}


def proxy_of(url: str) -> httpcore.Proxy | None:
    """The proxy for a URL; None where it is reached directly.

    Raises:
        ConfigError: the variable's value is no HTTP proxy.
    """
    has_settings = sys.platform in ("darwin", "win32")
    if not has_settings and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # loads http.client: 5 ms where there is no proxy

    parts = urlsplit(url)
    proxies = getproxies()
    variable = next((name for name in (parts.scheme, "all") if proxies.get(name)), "")
    if not variable:
        return None
    host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS[parts.scheme]
    # The standard library also knows the exceptions of macOS.
    if is_exception(host, port, proxies.get("no", "")) or proxy_bypass(f"{host}:{port}"):
        return None
    proxy = proxies[variable].strip()
    try:
        where = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        default_port = _PORTS[where.scheme]
        address = httpcore_url(where.scheme, where.hostname or "", where.port or default_port)
    except (KeyError, ValueError):
        raise ConfigError(
            f"{variable}_proxy".upper(),
            "must be http://host:port or https://host:port; other proxies are not supported",
        ) from None
    login = where.username is not None and (unquote(where.username).encode(), unquote(where.password or "").encode())
    return httpcore.Proxy(address, auth=login or None)


def is_exception(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY lists a host: by name, parent domain, address or range, with or without a port, or by `*`."""
    host = host.lower()
    for entry in no_proxy.lower().replace(",", " ").split():
        name, entry_port = _name_and_port(entry)
        if entry_port not in ("", str(port)):
            continue
        if name == "*" or _is_in_network(host, name):
            return True
        domain = name.removeprefix("*").strip(".")
        if domain and (host == domain or host.endswith(f".{domain}")):
            return True
    return False


def httpcore_url(scheme: str, host: str, port: int | None, target: str = "/") -> httpcore.URL:
    """A URL for httpcore, which writes an IPv6 address without brackets: they stay in the host (see `http_deadline`).

    Raises:
        ValueError: there is no host, or it is not ASCII.
    """
    if not host:
        raise ValueError("no host")
    name = f"[{host}]" if ":" in host else host
    return httpcore.URL(scheme=scheme, host=name.encode("ascii"), port=port, target=target)


def _name_and_port(entry: str) -> tuple[str, str]:
    name, colon, port = entry.rpartition(":")
    is_bare_ipv6 = entry.count(":") > 1 and "[" not in entry
    has_port = bool(colon) and port.isdecimal() and not is_bare_ipv6
    return (name if has_port else entry).replace("[", "").replace("]", ""), port if has_port else ""


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:  # one of them is a name
        return False
