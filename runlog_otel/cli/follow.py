"""Follows a run until it ends: a tree that is redrawn in place on a terminal, elsewhere a line for each change."""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from runlog_otel.cli import output
from runlog_otel.cli.durations import about_text, duration_text
from runlog_otel.cli.guard import INTERRUPTED
from runlog_otel.cli.loading import LATEST, log_file, run_id_named, run_named
from runlog_otel.cli.output import cell
from runlog_otel.cli.progress_text import ProgressText, Row
from runlog_otel.cli.watch import RunWatch
from runlog_otel.core.model import Run
from runlog_otel.core.progress import Progress, State
from runlog_otel.sources.files import Files
from runlog_otel.sources.port import Source

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_SECOND_NS = 10**9
_QUIET_NS = 600 * _SECOND_NS
"""After this long without a write, the process of a run may have died; a step writes nothing before it ends."""
_MAX_OUTPUTS = 3
"""Of how many attempts the output is read after a poll."""
_STYLES = {State.SUCCESS: "green", State.RUNNING: "yellow"}
_FAILED, _DIM = "red", "dim"
_MIN_HEIGHT = 12
"""Of a terminal that has room for the last lines of an output."""
_TOOK_CELLS, _STATE_CELLS, _GAPS = 9, 12, 5
"""The cells of a row beside its label and its note; the first at least."""

View = Callable[[RunWatch, str], None]
"""Shows a run as it is now, and what else is to be said of it."""


def followed(
    source: Source, name: str, interval_seconds: float, abandoned_after_seconds: float, *, is_shown: bool
) -> tuple[Run, str]:
    """Show a run while it runs. An interrupt leaves it alone.

    Args:
        source: where the run is.
        name: its id, or a run log's JSON file; `LATEST` for the newest one.
        interval_seconds: the pause after each look at it; as long as the look itself, if that takes longer.
        abandoned_after_seconds: a run that was not written for this long counts as abandoned.
        is_shown: whether anything is printed.

    Returns:
        The run, and how its last execution ended (`trace.Result`), or `abandoned`.

    Raises:
        RunlogOtelError: the run is not there, or could not be read for a minute.
        Exit: Ctrl-C.
    """
    if path := log_file(name):
        source = Files(path, source.settings)
        run_id = run_named(source, name).run_id
    else:
        run_id = run_id_named(source, name)
    watch = RunWatch(source, run_id)
    if name == LATEST and watch.result:
        output.note(f"no run is in progress; {run_id} is the newest")
    try:
        return _watched(watch, interval_seconds, abandoned_after_seconds, is_shown=is_shown)
    except KeyboardInterrupt:
        output.note(f"{run_id} goes on")
        raise typer.Exit(INTERRUPTED) from None


def _watched(
    watch: RunWatch, interval_seconds: float, abandoned_after_seconds: float, *, is_shown: bool
) -> tuple[Run, str]:
    took_seconds = 0.0
    with _view(is_shown=is_shown) as show:
        while True:
            quiet_ns = time.time_ns() - watch.changed_ns
            is_abandoned = not watch.result and quiet_ns > abandoned_after_seconds * _SECOND_NS
            show(watch, _note(watch, quiet_ns, is_abandoned=is_abandoned))
            if watch.result or is_abandoned:
                return watch.run, watch.result or "abandoned"
            time.sleep(max(interval_seconds, took_seconds))
            started = time.monotonic()
            watch.poll()
            took_seconds = time.monotonic() - started


def _note(watch: RunWatch, quiet_ns: int, *, is_abandoned: bool) -> str:
    """What the log does not say."""
    if watch.result:
        return ""
    if is_abandoned:
        return f"not written for {about_text(quiet_ns)}: it counts as abandoned"
    if watch.problem:
        return f"cannot be read, trying again: {watch.problem}"
    usual = (watch.usual.get(part.key, 0) for part in watch.progress.parts if part.state is State.RUNNING)
    if quiet_ns > max(_QUIET_NS, 2 * max(usual, default=0)):
        quiet = about_text(quiet_ns // _QUIET_NS * _QUIET_NS)
        closing = f"runlog-otel export {shlex.quote(watch.run_id)} --as cancellation"
        return f"not written for {quiet}; if its process has died: {closing}"
    return ""


@contextmanager
def _view(*, is_shown: bool) -> Iterator[View]:
    if not is_shown:
        yield lambda watch, note: None
    elif output.is_redrawable():
        with output.live() as draw:
            yield _Tree(draw).show
    else:
        yield _Lines().show


class _Tree:
    """A tree of the steps, in as many lines as the terminal has."""

    def __init__(self, draw: "Callable[[RenderableType], None]") -> None:
        self._draw = draw
        self._read: list[tuple[str, int]] = []
        """The attempts whose output was looked at: path of the step, and how many it had."""
        self._output: tuple[str, list[str]] = ("", [])

    def show(self, watch: RunWatch, note: str) -> None:
        """Draw a frame."""
        from rich.console import Group

        text, height = _text(watch), output.terminal_height() - 1
        title, lines = self._last_lines(watch)
        below = [title, *lines[-(height // 3 - 1) :]] if lines and height >= _MIN_HEIGHT else []
        below += [note] if note else []
        rows, left_out = text.rows(watch.progress, height - 2 - len(below))
        below = [*([f"… {left_out}"] if left_out else []), *below]
        self._draw(Group(_header(watch, text), _table(rows), *(_one_line(cell(line, _DIM)) for line in below)))

    def _last_lines(self, watch: RunWatch) -> tuple[str, list[str]]:
        """The end of the output of the attempt that ended last, of those that have one."""
        newest = watch.with_output(_MAX_OUTPUTS)
        attempts = [(part.path, len(part.attempts)) for part in newest]
        for part, attempt in zip(newest, attempts, strict=True):
            if attempt in self._read:
                break
            if lines := watch.last_lines(part):
                title = f"{watch.redaction.bounded(part.path)}, attempt {part.attempts[-1].number}:"
                self._output = title, [f"  {line}" for line in lines]
                break
        self._read = attempts
        return self._output


class _Lines:
    """A line for each change, with the time since the execution began."""

    def __init__(self) -> None:
        self._before: Progress | None = None
        self._note = ""

    def show(self, watch: RunWatch, note: str) -> None:
        """Print what changed."""
        progress, text = watch.progress, _text(watch)
        if self._before is None or self._before.execution != progress.execution:
            output.line(f"{watch.run_id}  {text.title()}  {text.summary(progress, watch.result)}")
        outputs = _MAX_OUTPUTS
        for at_ns, line, part in text.changes(self._before, progress):
            output.line(f"{_offset(progress, at_ns)}  {line}")
            if part.state.has_failed and part.attempts and outputs:
                outputs -= 1
                output.lines(*(f"{'':>9}    {line}" for line in watch.last_lines(part)))
        if note and note != self._note:
            output.line(f"{_offset(progress, text.now_ns)}  {note}")
        if watch.result and self._before is not None:
            output.line(f"{watch.run_id}  {text.title()}  {text.summary(progress, watch.result)}")
        self._before, self._note = progress, note


def _text(watch: RunWatch) -> ProgressText:
    return ProgressText(watch.execution, watch.redaction, watch.usual, time.time_ns())


def _offset(progress: Progress, at_ns: int) -> str:
    after = "" if progress.start_ns is None else f"+{duration_text(max(0, at_ns - progress.start_ns))}"
    return f"{after:>9}"


def _header(watch: RunWatch, text: ProgressText) -> "Text":
    from rich.text import Text

    state = State(watch.result) if watch.result else State.RUNNING
    return _one_line(
        Text.assemble(
            cell(watch.run_id, "bold"),
            cell(f"  {text.title()}  "),
            cell(text.summary(watch.progress, watch.result), _style(state)),
        )
    )


def _table(rows: list[Row]) -> "Table":
    from rich.cells import cell_len
    from rich.table import Table

    width = output.terminal_width()
    labels = [cell("  " * (row.depth + 1) + row.label) for row in rows]
    label_width = min(max((cell_len(label.plain) for label in labels), default=1), width // 2)
    took_width = max([_TOOK_CELLS, *(len(row.took) for row in rows)])
    note_width = max(1, width - label_width - took_width - _STATE_CELLS - _GAPS)
    table = Table(box=None, show_header=False, pad_edge=False, width=width)
    table.add_column(width=label_width, no_wrap=True, overflow="ellipsis")
    table.add_column(width=took_width, no_wrap=True, justify="right")
    table.add_column(width=_STATE_CELLS, no_wrap=True)
    table.add_column(width=note_width, no_wrap=True, overflow="ellipsis")
    for row, label in zip(rows, labels, strict=True):
        style = _style(row.state)
        table.add_row(
            label, row.took, cell(row.state.value, style), cell(row.note, style if row.state.has_failed else _DIM)
        )
    return table


def _style(state: State) -> str:
    return _FAILED if state.has_failed else _STYLES.get(state, _DIM)


def _one_line(text: "Text") -> "Text":
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
