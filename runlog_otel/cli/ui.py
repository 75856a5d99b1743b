"""`runlog-otel ui`: the pages of runs, in a browser."""

import gc
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.listening import Listening
from runlog_otel.cli.loading import sources
from runlog_otel.cli.options import BasicAuthFile, ConfigFile, Revealing, SourceUrls, TlsCert, TlsKey
from runlog_otel.errors import ConfigError, MissingExtraError
from runlog_otel.exporters.metrics.access import address_from_text

if TYPE_CHECKING:
    from runlog_otel.sources.port import Source
    from runlog_otel.web.server import PagesServer

_LIBRARIES = ("jinja2", "markupsafe", "starlette", "uvicorn")
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        help="A name under which the pages are reached, beside addresses and localhost; can be repeated.",
        metavar="NAME",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class PageOptions:
    """How the pages are served, beside where and to whom."""

    hosts: tuple[str, ...] = ()
    is_revealing: bool = False


def ui(
    listen: Annotated[str, typer.Option(help="host:port of the pages.")] = "127.0.0.1:9463",
    is_opened: Annotated[bool, typer.Option("--open", help="Open the pages in the browser.")] = False,
    is_revealing: Revealing = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    basic_auth_file: BasicAuthFile = None,
    hosts: Hosts = None,
    urls: SourceUrls = None,
    config: ConfigFile = "",
) -> None:
    """Serve pages of runs, pipelines and comparisons, read-only, until it is stopped.

    --reveal needs an address that only this machine reaches.
    """
    listening = Listening(listen, tls_cert, tls_key, basic_auth_file)
    options = PageOptions(tuple(hosts or ()), is_revealing)
    loaded = sources(urls or (), config)
    server = pages_server(loaded, listening, options)
    output.log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    for source in loaded:
        output.line(f"reading {source.where}")
    output.line(f"pages: {server.url}")
    if is_opened:
        import webbrowser

        webbrowser.open(server.url)
    try:
        server.run()
    finally:
        for source in loaded:
            source.close()


def pages_server(loaded: "Sequence[Source]", listening: Listening, options: PageOptions) -> "PagesServer":
    """The server of the pages of some sources, which listens already.

    Raises:
        ConfigError: the address, a file or an option is wrong.
        MissingExtraError: a library of the extra `ui` is not installed.
    """
    host, _ = address_from_text(listening.address)
    if options.is_revealing and not _is_loopback(host):
        raise ConfigError("--reveal", f"needs --listen on a loopback address such as 127.0.0.1:9463, not {host}")
    try:
        from runlog_otel.web.app import pages_app
        from runlog_otel.web.security import Access
        from runlog_otel.web.server import PagesServer
    except ModuleNotFoundError as error:
        if error.name in _LIBRARIES:
            raise MissingExtraError("the pages", "ui") from error
        raise
    access = Access(listening.credentials, (*options.hosts, *([] if _is_address(host) else [host])))
    gc.set_threshold(100_000, 50, 50)  # spans make no cycles: the page of a run of 10,000 steps takes a third less
    app = pages_app(loaded, access, is_revealing=options.is_revealing)
    return PagesServer(app, listening.address, listening.tls)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
