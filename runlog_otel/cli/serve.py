"""`runlog-otel serve`: runs the service in the foreground until it is stopped."""

import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.listening import Listening
from runlog_otel.cli.loading import sources
from runlog_otel.cli.options import BasicAuthFile, ConfigFile, Endpoint, SourceUrls, TlsCert, TlsKey, age
from runlog_otel.cli.pages_process import Pages, PagesProcess
from runlog_otel.cli.ui import Hosts, PageOptions
from runlog_otel.service.service import Resend, ServeOptions, Service
from runlog_otel.service.state import State
from runlog_otel.sources.port import Source


def serve(
    listen: Annotated[str, typer.Option(help="host:port of /metrics, /-/healthy and /-/ready.")] = "127.0.0.1:9464",
    interval: Annotated[str, typer.Option(help="How often the store is checked for changes.", metavar="AGE")] = "15s",
    state: Annotated[Path, typer.Option(help="File that keeps the totals between restarts.")] = Path(
        ".runlog-otel/serve.db"
    ),
    abandoned_after: Annotated[
        str, typer.Option(help="A run that was not written for this long counts as an error.", metavar="AGE")
    ] = "24h",
    resend: Annotated[
        Resend, typer.Option(help="Traces to send: of unsent and abandoned runs, also of all that end, or none.")
    ] = Resend.UNSENT,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    basic_auth_file: BasicAuthFile = None,
    has_pages: Annotated[
        bool,
        typer.Option("--ui", help="Also serve the pages of `ui`, with the same TLS and login, in another process."),
    ] = False,
    pages_listen: Annotated[str, typer.Option("--ui-listen", help="host:port of the pages.")] = "127.0.0.1:9463",
    hosts: Hosts = None,
    push: Annotated[
        bool, typer.Option("--push", help="Also push the metrics to the endpoint by OTLP, after each poll.")
    ] = False,
    endpoint: Endpoint = "",
    urls: SourceUrls = None,
    config: ConfigFile = "",
) -> None:
    """Serve the metrics of all runs to Prometheus, from their logs; send missing traces.

    One process per store: it counts each execution once, and keeps the totals when it restarts.
    """
    loaded = sources(urls or (), config, endpoint=endpoint)
    metrics = loaded[0].settings.metrics
    options = ServeOptions(
        interval_seconds=age(interval, "--interval", at_least=timedelta(seconds=1)).total_seconds(),
        abandoned_after=age(abandoned_after, "--abandoned-after", at_least=timedelta(seconds=1)),
        resend=resend,
        max_series=metrics.max_series,
        by_tag=metrics.by_tag,
        push_to=loaded[0].settings if push else None,
    )
    listening = Listening(listen, tls_cert, tls_key, basic_auth_file)
    pages = None
    if has_pages:
        pages = Pages(urls or (), config, replace(listening, address=pages_listen), PageOptions(tuple(hosts or ())))
    serve_sources(loaded, state, listening, options, pages)


def serve_sources(
    sources: Sequence[Source],
    state_file: Path,
    listening: Listening,
    options: ServeOptions,
    pages: Pages | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, which stop it at once: the state is always consistent, also after a kill."""
    from runlog_otel.exporters.metrics.prometheus import MetricsServer

    output.log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    tls, credentials = listening.tls, listening.credentials
    service = Service(sources, State(state_file), options)
    server = MetricsServer(
        service.table, listening.address, is_ready=lambda: service.is_ready, tls=tls, credentials=credentials
    )
    own_pages = PagesProcess(pages) if pages else None
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        raise SystemExit

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    for source in sources:
        output.line(f"reading {source.where} every {options.interval_seconds:g} s; totals: {state_file}")
    output.line(f"metrics: {server.url}/metrics")
    if own_pages:
        output.line(f"pages: {own_pages.url}")
    try:
        service.run(stop)
    finally:
        if own_pages:
            own_pages.close()
        server.close()
        service.close()
