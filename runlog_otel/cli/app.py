"""The commands and their options; what each does stands in a module of its own."""

from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.db import db_app
from runlog_otel.cli.loading import outboxes, project, run_named, settings_for, source, sources
from runlog_otel.cli.options import AsJson, ConfigFile, RunNamed, SourceUrl, age
from runlog_otel.cli.runs import runs
from runlog_otel.core import identity
from runlog_otel.errors import ConfigError
from runlog_otel.service.service import Resend, ServeOptions

app = typer.Typer(
    name="runlog-otel",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.add_typer(db_app, name="db")
app.command()(runs)

Endpoint = Annotated[
    str,
    typer.Option(
        help="Where to send, by OTLP: http://HOST:4318, or file:///PATH. Wins over config and environment, and over an "
        "exporter that they name.",
        show_default=False,
    ),
]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        output.line(f"runlog-otel {version('runlog-otel')}")
        raise typer.Exit


@app.callback()
def _every_command(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See pipeline runs in an observability stack: every run is a trace in Jaeger.

    Exit status: 0 all was done, 1 something failed, 2 the call or the config is wrong, 70 an unforeseen error (set
    RUNLOG_OTEL_DEBUG=1 to see where), 130 interrupted, 141 the reader has closed the output.
    """


@app.command()
def demo(
    endpoint: Annotated[
        str, typer.Option(help="An OTLP endpoint, as http://localhost:4318; default: a file.", show_default=False)
    ] = "",
    ui: Annotated[
        str, typer.Option(help="Jaeger's page; default: port 16686 of the endpoint's host.", show_default=False)
    ] = "",
    folder: Annotated[Path, typer.Option(help="Where the demo's files go.")] = Path("runlog-otel-demo"),
) -> None:
    """Run a real pipeline through the wrapper and show its trace."""
    from runlog_otel.cli.demo import run_demo

    raise typer.Exit(run_demo(folder, endpoint, ui))


@app.command()
def show(
    run: RunNamed,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Show a run from its log: what ran when, how it ended, its trace id."""
    from runlog_otel.cli.show import show_run

    loaded = source(url, config)
    show_run(loaded, run_named(loaded, run), as_json=as_json)


@app.command()
def audit(
    run: RunNamed,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Print exactly what leaves of a run, and names and counts of what is held back."""
    from runlog_otel.cli.audit import audit_run

    loaded = source(url, config)
    audit_run(loaded, run_named(loaded, run), as_json=as_json)


@app.command()
def export(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run ids, or JSON files of run logs.", metavar="RUN_ID|FILE.json")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    since: Annotated[
        str, typer.Option(help="Runs written in the last 30m, 24h, 7d …", metavar="AGE", show_default=False)
    ] = "",
    unsent: Annotated[bool, typer.Option("--unsent", help="Runs of which something was not acknowledged.")] = False,
    abandoned: Annotated[
        bool, typer.Option("--abandoned", help="Close runs that have not ended: nothing will be recorded of them.")
    ] = False,
    forgotten: Annotated[
        list[str] | None,
        typer.Option(
            "--forget",
            help="Send nothing: take this run off the list of --unsent, as when its log is gone. May be given several "
            "times.",
            metavar="RUN_ID",
            show_default=False,
        ),
    ] = None,
    endpoint: Endpoint = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be sent, or forgotten; do nothing.")
    ] = False,
    url: SourceUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Send runs from their logs, whole; what a backend has already it drops.

    A run that cannot be read, mapped or sent is told and passed over. Exit status: 0 all acknowledged, 1 something was
    not, 2 the call or the config is wrong.
    """
    from runlog_otel.cli.export import Selection, export_runs, forget_runs

    selection = Selection(tuple(runs or ()), every=every, since=since, unsent=unsent)
    if forgotten:
        if selection != Selection():
            raise ConfigError("--forget", "sends nothing: name no other runs in the same call")
        forget_runs(forgotten, outboxes(url, settings_for(url, config)), dry_run=dry_run, as_json=as_json)
        return
    loaded = source(url, config, endpoint=endpoint)
    folders = outboxes(url, loaded.settings)
    raise typer.Exit(export_runs(loaded, selection, folders, close=abandoned, dry_run=dry_run, as_json=as_json))


@app.command()
def serve(
    listen: Annotated[str, typer.Option(help="host:port of /metrics, /-/healthy and /-/ready.")] = "127.0.0.1:9464",
    interval: Annotated[str, typer.Option(help="How often the store is asked what changed.", metavar="AGE")] = "15s",
    state: Annotated[Path, typer.Option(help="File that keeps the totals between restarts.")] = Path(
        ".runlog-otel/serve.db"
    ),
    abandoned_after: Annotated[
        str, typer.Option(help="A run that did not move for so long counts as an error.", metavar="AGE")
    ] = "24h",
    resend: Annotated[
        Resend, typer.Option(help="Traces to send: of unsent and abandoned runs, of all that end too, or none.")
    ] = Resend.UNSENT,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file, to serve by TLS.", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file, to serve by TLS.", show_default=False)] = None,
    basic_auth_file: Annotated[
        Path | None, typer.Option(help="File with one line user:password that a scrape must bring.", show_default=False)
    ] = None,
    push: Annotated[
        bool, typer.Option("--push", help="Send the metrics to the endpoint by OTLP, too, after each look.")
    ] = False,
    endpoint: Endpoint = "",
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="Where runs are, instead of the config's store, as for `show`; may be given several times.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = "",
) -> None:
    """Serve the metrics of all runs to Prometheus, from their logs; send traces that are missing.

    One process per store: it counts each execution once, and keeps the totals when it restarts.
    """
    from runlog_otel.cli.serve import Listening, serve_sources

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
    serve_sources(loaded, state, Listening(listen, tls_cert, tls_key, basic_auth_file), options)


@app.command("trace-id")
def trace_id(
    run_id: Annotated[str, typer.Argument(help="The run id; it need not exist yet.")],
    execution: Annotated[int, typer.Option(min=1, help="1 is the first, each retry is one more.")] = 1,
    config: ConfigFile = "",
) -> None:
    """Print the trace id of a run: it follows from the run id (and the setting `namespace`)."""
    output.line(identity.trace_id(project(config).settings.namespace, run_id, execution).hex())


@app.command()
def check(
    config: ConfigFile = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Show the settings in force and where each came from; try the store and the endpoint.

    Exit status: 0 all is well, 1 something is not, 2 the config is wrong.
    """
    from runlog_otel.cli.check import findings, settings_table

    loaded = project(config, endpoint=endpoint)
    found = findings(loaded)
    if as_json:
        shown = loaded.settings.model_dump(mode="json")
        sources = {field: loaded.settings.source(field) for field in shown}
        output.document({"settings": shown, "sources": sources, "findings": [f.document() for f in found]})
    else:
        settings_table(loaded.settings)
        output.lines(*(finding.line() for finding in found))
    raise typer.Exit(0 if all(finding.is_good for finding in found) else 1)
