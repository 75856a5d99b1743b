"""Exports runs in several processes, each with its own source and connections."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType

from runlog_otel.cli.exporting import Candidate, ExportOptions, Outcome, exported, lost
from runlog_otel.errors import RunlogOtelError
from runlog_otel.sources.port import Source

_RUNS_AT_ONCE = 50
"""How many runs a process is given when it asks for more."""
_PATIENCE_SECONDS = 5.0
"""How long a process that is interrupted may take to note what it has sent in part."""
_NEXT = "next"
"""What a process asks with."""


@dataclass(slots=True)
class _Job:
    process: BaseProcess
    connection: Connection
    candidates: deque[Candidate] = field(default_factory=deque)
    """Those that it was given, without the ones whose outcome came."""


def exported_by(
    jobs: int, candidates: Iterable[Candidate], load: Callable[[], Source], options: ExportOptions
) -> Generator[Outcome | None, None, None]:
    """Export runs in several processes; the runs of one that is killed count as not acknowledged.

    Args:
        jobs: how many processes.
        candidates: the runs; read as they are needed.
        load: makes the source, in each process.
        options: see `exported`.

    Yields:
        The outcomes of all candidates, in any order; None for one that was not tried.

    Raises:
        RunlogOtelError: what `exported` raises, in any process.
    """
    # A fork has the libraries already, which take 0.5 s of CPU to import. No thread and no connection crosses it: they
    # are made in the processes, and the source of this one is closed. Elsewhere than on Linux, system libraries mind.
    context = get_context("fork") if sys.platform == "linux" else get_context("spawn")
    running: dict[object, _Job] = {}
    for _ in range(jobs):
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, load, options), daemon=True)
        process.start()
        theirs.close()
        running[ours] = _Job(process, ours)
    try:
        yield from _outcomes(running, iter(candidates), options)
    finally:
        for job in running.values():
            _end(job.process)


def _outcomes(
    running: dict[object, _Job], remaining: Iterator[Candidate], options: ExportOptions
) -> Iterator[Outcome | None]:
    is_down, failure = False, None
    while running:
        for connection in wait([job.connection for job in running.values()]):
            job = running[connection]
            try:
                message = job.connection.recv()
            except (EOFError, OSError):
                del running[job.connection]
                yield from _lost(job, options)
                continue
            if isinstance(message, RunlogOtelError):
                raise message
            if message != _NEXT:
                job.candidates.popleft()
                is_down |= message is None
                yield message
                continue
            try:
                chunk = [] if is_down or failure else list(islice(remaining, _RUNS_AT_ONCE))
            except RunlogOtelError as error:
                chunk, failure = [], error
            job.candidates.extend(chunk)
            with suppress(OSError):  # it has ended, which is seen at the next turn
                job.connection.send(chunk)
    if failure is not None:
        raise failure
    for _ in remaining:
        yield None


def _lost(job: _Job, options: ExportOptions) -> Iterator[Outcome]:
    job.process.join()
    status = job.process.exitcode or 0
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    for candidate in job.candidates:
        yield lost(candidate, f"the process that exported it {how}", options)


def _end(process: BaseProcess) -> None:
    """Interrupt a process: it remembers what it has sent in part."""
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)
    process.join(_PATIENCE_SECONDS)
    process.kill()


def _work(connection: Connection, load: Callable[[], Source], options: ExportOptions) -> None:
    """Export what the parent gives, until it gives no more or is gone."""
    signal.signal(signal.SIGINT, _interrupt_once)
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the parent is gone, or knows
        try:
            source = load()
            for outcome in exported(_given(connection), source, options):
                connection.send(outcome)
            source.close()
        except RunlogOtelError as error:
            connection.send(error)


def _given(connection: Connection) -> Iterator[Candidate]:
    while True:
        connection.send(_NEXT)
        if not (candidates := connection.recv()):
            return
        yield from candidates


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """A terminal interrupts all processes, and the parent does so again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.default_int_handler(number, frame)
