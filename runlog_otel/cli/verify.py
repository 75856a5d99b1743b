"""`runlog-otel verify`: compares what backends have with the log, run by run, and sends what is missing."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import outboxes, source
from runlog_otel.cli.options import AsJson, ConfigFile, Endpoint, SourceUrl, age
from runlog_otel.cli.verify_report import Report
from runlog_otel.cli.verifying import CounterCheck, Selected, Verification
from runlog_otel.errors import ConfigError, RunlogOtelError
from runlog_otel.exporters.traces.sink import require_sending
from runlog_otel.otel_variables import headers_from_text
from runlog_otel.sources.port import Source
from runlog_otel.stores.connection_string import filled
from runlog_otel.verification.backends import Jaeger, Tempo
from runlog_otel.verification.query_client import QueryClient

HEADERS = "RUNLOG_OTEL_QUERY_HEADERS"
_MAX_DIGITS = 20
"""Of a time in nanoseconds."""
_URL = "${NAME} in it is taken from the environment."

JaegerUrl = Annotated[
    str,
    typer.Option("--jaeger", help=f"Compare with Jaeger: http://HOST:16686. {_URL}", metavar="URL", show_default=False),
]
TempoUrl = Annotated[
    str,
    typer.Option("--tempo", help=f"Compare with Tempo: http://HOST:3200. {_URL}", metavar="URL", show_default=False),
]
PrometheusUrl = Annotated[
    str,
    typer.Option(
        "--prometheus",
        help=f"Compare the counters of `serve` with Prometheus: http://HOST:9090. {_URL}",
        metavar="URL",
        show_default=False,
    ),
]
Matcher = Annotated[
    str,
    typer.Option(
        help='Which `serve`, if Prometheus scrapes several: instance="HOST:9464", in PromQL.', show_default=False
    ),
]
Wait = Annotated[
    str,
    typer.Option(
        help="How long after its end a run may be on its way; what --heal sent, and counters, are waited for as long.",
        metavar="AGE",
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Compare at most so many runs; print where to go on.", show_default=False)
]
After = Annotated[
    str, typer.Option(help="Go on after this point, which an earlier call printed.", metavar="KEY", show_default=False)
]
Rate = Annotated[float, typer.Option(min=0, help="Ask each backend at most so many times a second; 0 is no limit.")]
RunIds = Annotated[list[str] | None, typer.Argument(help="Run ids, or JSON files of run logs.", metavar="RUN_ID")]
Since = Annotated[str, typer.Option(help="Runs written in the last 30m, 24h, 7d …", metavar="AGE", show_default=False)]


@dataclass(frozen=True, slots=True)
class Servers:
    """The URLs of the backends, and how they are asked."""

    jaeger: str = ""
    tempo: str = ""
    prometheus: str = ""
    matcher: str = ""
    """Selects one `serve` in Prometheus, in PromQL."""
    rate: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.jaeger or self.tempo or self.prometheus)


def verify(
    runs: RunIds = None,
    every: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    since: Since = "",
    jaeger: JaegerUrl = "",
    tempo: TempoUrl = "",
    prometheus: PrometheusUrl = "",
    matcher: Matcher = "",
    heal: Annotated[bool, typer.Option("--heal", help="Send the spans that are missing, and compare again.")] = False,
    wait: Wait = "30s",
    limit: Limit = None,
    after: After = "",
    rate: Rate = 0.0,
    endpoint: Endpoint = "",
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Compare what Jaeger, Tempo and Prometheus have with the run logs: spans one by one, and counters.

    Of a run that has not ended, is not sampled or waits in the outbox, spans may be missing. The headers of the
    settings go only to servers on the host of the endpoint; those in RUNLOG_OTEL_QUERY_HEADERS (name=value,…) to all.

    Exit status: 0 the backends have what the logs say, 1 something is missing, extra or different, or a run cannot be
    read, 2 the call or the config is wrong, or a backend does not answer.
    """
    servers = Servers(jaeger, tempo, prometheus, matcher, rate)
    if bool(runs) == (every or bool(since)):
        raise ConfigError("verify", "say which runs: RUN_ID …, or --all, or --since 24h")
    if not servers:
        raise ConfigError("verify", "say which backend to compare with: --jaeger, --tempo or --prometheus URL")
    oldest_ns, position = _since_ns(since), _position(after, is_list=not runs)
    wait_seconds = age(wait, "--wait").total_seconds()
    loaded = source(url, config, endpoint=endpoint)
    is_whole = every and not since and position is None and limit is None
    with ExitStack() as clients:
        verification = verification_of(
            loaded,
            servers,
            outboxes(url, loaded.settings),
            clients,
            heal=heal,
            is_whole=is_whole,
            wait_seconds=wait_seconds,
        )
        selected = map(Selected, runs) if runs else _listed(loaded, oldest_ns, position)
        report = Report(verification.where, as_json=as_json, is_healing=heal)
        raise typer.Exit(run_verification(verification, selected, report, limit))


def verification_of(
    source: Source,
    servers: Servers,
    folders: Sequence[Path],
    clients: ExitStack,
    *,
    heal: bool,
    is_whole: bool,
    wait_seconds: float,
) -> Verification:
    """What compares the runs of a source with servers, once these have answered.

    Args:
        source: the runs, and the settings of the export.
        servers: what to compare with.
        folders: the outboxes of the source.
        clients: what closes the connections to the servers.
        heal: send what is missing.
        is_whole: all runs are compared, so that counters can be too large.
        wait_seconds: how long something may be on its way.

    Raises:
        ConfigError: a URL is wrong, or leads to another server.
        BackendError: a server does not answer as it should.
    """
    settings = source.settings
    if heal:
        require_sending(settings)
    headers, problems = headers_from_text(os.environ.get(HEADERS, ""))
    if problems:
        raise ConfigError(HEADERS, problems[0].partition(": ")[2])

    def client(option: str, url: str) -> QueryClient:
        whole = filled(url, os.environ.get, option)
        one = QueryClient(option, whole, settings, headers=headers, requests_per_second=servers.rate)
        clients.callback(one.close)
        return one

    urls = ((Jaeger, servers.jaeger), (Tempo, servers.tempo))
    backends = [kind(client(f"--{kind.name}", url)) for kind, url in urls if url]
    for backend in backends:
        backend.check()
    counters = None
    if servers.prometheus:
        from runlog_otel.verification.counters import Prometheus

        prometheus = Prometheus(client("--prometheus", servers.prometheus), servers.matcher)
        prometheus.check()
        counters = CounterCheck(prometheus, settings, is_whole=is_whole, wait_seconds=wait_seconds)
    return Verification(source, backends, folders, counters, is_healing=heal, wait_seconds=wait_seconds)


def run_verification(
    verification: Verification, selected: Iterator[Selected], report: Report, limit: int | None = None
) -> int:
    """Compare runs, and say what was found.

    Args:
        verification: what to compare with.
        selected: the runs.
        report: says what was found.
        limit: how many of them.

    Returns:
        The exit status.
    """
    with output.progress() as progress:
        task = progress.add_task("comparing", total=limit)
        try:
            for result in verification.results(islice(selected, limit)):
                report.add(result)
                progress.advance(task)
            report.is_finished = limit is None or next(selected, None) is None
            if verification.counters is not None:
                report.add_counters(verification.counters.differences())
        except KeyboardInterrupt:
            report.say_where_to_go_on()
            raise
        except RunlogOtelError:
            report.end()
            raise
    return report.end()


def _listed(source: Source, since_ns: int, after: tuple[int, str] | None) -> Iterator[Selected]:
    """The runs that were written since a moment, in the order of their last write, after a point."""
    changes = source.changes(max(since_ns, after[0] if after else 0))
    for changed_ns, group in groupby(changes, key=lambda stored: stored.changed_ns):
        for run_id in sorted(stored.run_id for stored in group):
            if after is None or (changed_ns, run_id) > after:
                yield Selected(run_id, f"{changed_ns}.{run_id}")


def _since_ns(text: str) -> int:
    if not text:
        return 0
    return int((datetime.now(timezone.utc) - age(text, "--since")).timestamp() * 1e9)


def _position(key: str, *, is_list: bool) -> tuple[int, str] | None:
    """Where to go on: the key of the last run that was compared."""
    if not key:
        return None
    changed, _, run_id = key.partition(".")
    if not (changed.removeprefix("-").isdecimal() and len(changed) < _MAX_DIGITS and run_id):
        raise ConfigError("--after", f"{key!r} is no key that an earlier call has printed")
    if not is_list:
        raise ConfigError("--after", "goes on in a list of runs: give --all or --since, and no RUN_ID")
    return int(changed), run_id
