"""The only module that prints: text is never markup, control characters are escaped, JSON is strict."""

import io
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from runlog_otel.errors import OutputError
from runlog_otel.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

    _TextHandler = logging.StreamHandler[TextIO]
else:
    _TextHandler = logging.StreamHandler  # it cannot be subscripted before Python 3.11

CLOSED_PIPE_STATUS = 141
"""128 + SIGPIPE: the usual status of a program whose reader closed the pipe (`| head`)."""


def line(text: str = "") -> None:
    """Print a line."""
    lines(text)


def lines(*texts: str) -> None:
    """Print lines at once."""
    _write("".join(f"{printable(text)}\n" for text in texts))


def document(value: Any) -> None:
    """Print JSON; see `strict`."""
    _write(json.dumps(strict(value), indent=2, allow_nan=False) + "\n")


def note(text: str, *, keeps_lines: bool = False) -> None:
    """Print a line to standard error; if that fails, the line is lost."""
    try:
        sys.stderr.write(f"{printable(text, keeps_lines=keeps_lines)}\n")
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)


def problem(text: str) -> None:
    """Print an error in one line."""
    note(f"error: {text}")


def rendered(*renderables: "RenderableType", width: int | None = None) -> None:
    """Print tables and styled text; text is not wrapped, a table has `width`, or that of the terminal."""
    drawn = io.StringIO()
    console = _console(drawn, width)
    for renderable in renderables:
        console.print(renderable, soft_wrap=True)
    _write(drawn.getvalue())


def terminal_width() -> int:
    """The number of cells in a line."""
    return _console(sys.stdout).width


def terminal_height() -> int:
    """The number of lines."""
    return _console(sys.stdout).height


def is_redrawable() -> bool:
    """Whether standard output is a terminal that can redraw its lines: each character must take its own place."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return is_utf8 and sys.stdout.isatty() and not _console(sys.stdout).is_dumb_terminal


@contextmanager
def live() -> "Iterator[Callable[[RenderableType], None]]":
    """A block of lines that is redrawn in place; yields what draws it, and leaves the last drawing on the terminal.

    Lines for standard error appear above it, if that is a terminal. SIGTERM ends the program as an exception does, so
    that the cursor comes back.
    """
    from rich.live import Live

    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with Live(
            console=_console(sys.stdout),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
        ) as block:
            yield lambda content: block.update(content, refresh=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def is_encodable(text: str) -> bool:
    """Whether the encoding of standard output has these characters."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def cell(text: str, style: str = "") -> "Text":
    """Text for a table."""
    from rich.text import Text

    return Text(printable(text), style)


def table(*headers: str) -> "Table":
    """An empty table without borders; `headers` may be any text."""
    from rich.table import Table

    empty = Table(box=None, pad_edge=False)
    for header in headers:
        empty.add_column(cell(header))
    return empty


def progress() -> "Progress":
    """A progress bar on standard error, for people."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _console(sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def log_to_stderr(template: str = "%(message)s") -> None:
    """Write the records of every logger to standard error, printable, one line each."""
    handler = _StderrHandler()
    handler.setFormatter(_PrintableFormatter(template))
    logging.basicConfig(handlers=[handler], force=True)


def prepare() -> None:
    """Let standard output and error accept any text: unencodable characters are escaped, a closed stream discards."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 it occupies the closed descriptor until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what other libraries printed (`--help`); raises OutputError."""
    _write("")


def strict(value: Any) -> Any:
    """The value in a form that every JSON parser accepts.

    NaN and infinity become null, lone surrogates are escaped; `notes` of the outermost object say where. In a list
    each object has its own notes.
    """
    if isinstance(value, list):
        return [strict(part) for part in value]
    notes: list[str] = []
    clean = _strict(value, "", notes)
    return {**clean, "notes": notes} if notes else clean


def _strict(value: Any, path: str, notes: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {_text(str(key), path, notes): _strict(part, f"{path}/{key}", notes) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part, f"{path}/{at}", notes) for at, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        notes.append(printable(f"{path} is {value}, which JSON cannot represent"))
        return None
    return _text(value, path, notes) if isinstance(value, str) else value


def _text(text: str, path: str, notes: list[str]) -> str:
    encodable = text.encode("utf-8", "backslashreplace").decode()
    if encodable != text:
        notes.append(printable(f"{path} has a lone surrogate, which is shown escaped"))
    return encodable


class _StderrHandler(_TextHandler):
    """Writes to what is the standard error at that moment: `live` replaces it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """As `logging.lastResort` has it."""
        return sys.stderr


class _PrintableFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 logging's name
        return printable(super().formatException(ei), keeps_lines=True)


def _console(file: TextIO, width: int | None = None) -> "Console":
    from rich.console import Console

    is_terminal = True if file is not sys.stderr and sys.stdout.isatty() else None
    return Console(file=file, width=width, force_terminal=is_terminal, markup=False, highlight=False, emoji=False)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        sys.exit(CLOSED_PIPE_STATUS)
    except OSError as error:
        _abandon(sys.stdout)
        raise OutputError(error.strerror or str(error)) from error


def _abandon(stream: TextIO) -> None:
    """Discard what could not be written, so that the interpreter does not retry it on exit."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
