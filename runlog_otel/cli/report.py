"""`runlog-otel report`: the page of a run as one HTML file, to mail or to archive."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runlog_otel.cli import output
from runlog_otel.cli.loading import log_file, run_named, source
from runlog_otel.cli.options import ConfigFile, Revealing, SourceUrl
from runlog_otel.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from runlog_otel.sources.port import Source

_TEMPLATES = ("jinja2", "markupsafe")


def report(
    file: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", metavar="FILE.html")],
    run: Annotated[
        str,
        typer.Argument(
            help="A run id, or a run log's JSON file; latest: the newest run.", metavar="RUN_ID", show_default=False
        ),
    ] = "",
    tag: Annotated[str, typer.Option(help="Compare the newest runs of this tag instead.", show_default=False)] = "",
    url: SourceUrl = "",
    config: ConfigFile = "",
    is_overwriting: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    is_revealing: Revealing = False,
) -> None:
    """Write the page of a run as one HTML file, which makes no request.

    It shows what may be exported, and only its owner can read it.
    """
    if bool(run) == bool(tag):
        raise ConfigError("RUN_ID, --tag", "give one of them")
    if file.exists() and not is_overwriting:
        raise ConfigError("--output", f"{file} exists; --force replaces it")
    if not file.parent.is_dir():
        raise ConfigError("--output", f"there is no folder {file.parent}")
    loaded = source(url, config)
    _write(file, _comparison(loaded, tag, is_revealing) if tag else _page(loaded, run, is_revealing))
    output.line(str(file))


def _page(loaded: "Source", name: str, is_revealing: bool) -> str:
    """The page of a run; that of a file has no history and no output."""
    render = _renderer()
    from runlog_otel.web.reader import RunReader
    from runlog_otel.web.run_page import run_page

    run = run_named(loaded, name)
    if log_file(name):
        return render("run.html", page=run_page(run, loaded.settings, is_revealing=is_revealing))
    reader = RunReader(loaded, is_revealing=is_revealing)
    page = run_page(
        run,
        loaded.settings,
        is_revealing=is_revealing,
        read_output=partial(loaded.output, run.run_id),
        history=reader.history_before(run),
    )
    return render("run.html", page=page)


def _comparison(loaded: "Source", tag: str, is_revealing: bool) -> str:
    render = _renderer()
    from runlog_otel.web.compare_page import compare_view
    from runlog_otel.web.reader import RunReader

    view = compare_view(RunReader(loaded, is_revealing=is_revealing), (), tag)
    return render("compare.html", view=view, tag=tag)


def _renderer() -> Callable[..., str]:
    try:
        from runlog_otel.web.rendering import render
    except ModuleNotFoundError as error:
        if error.name in _TEMPLATES:
            raise MissingExtraError("a report", "ui") from error
        raise
    return render


def _write(file: Path, text: str) -> None:
    """Write a private file, whole or not at all; a file in its place is replaced."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name[:100]}.", dir=file.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
