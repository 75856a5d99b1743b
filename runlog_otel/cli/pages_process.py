"""Serves the pages beside `serve` from a process of its own: no page delays a scrape, or ends the count."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from runlog_otel.cli import output
from runlog_otel.cli.listening import Listening
from runlog_otel.cli.loading import sources
from runlog_otel.cli.ui import PageOptions, pages_server
from runlog_otel.errors import ConfigError, RunlogOtelError
from runlog_otel.loggers import package_logger

logger = package_logger("runlog_otel.serve")

_START_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
_NICENESS = 10
"""Where the processor is short, a scrape goes first."""
_context = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served, where, and to whom."""

    urls: Sequence[str]
    config: str
    listening: Listening
    options: PageOptions


class PagesProcess:
    """The process; it is started again if it ends by itself, and ends with this one, however this one ends.

    Raises:
        RunlogOtelError: it cannot serve.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._closing = threading.Event()
        self.url = self._start()
        threading.Thread(target=self._watch, name="runlog-otel pages", daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._closing.set()
        self._process.terminate()
        self._process.join(_PAUSE_SECONDS)

    def _start(self) -> str:
        ours, theirs = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_serve, args=(self._pages, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            answer = ours.recv() if ours.poll(_START_SECONDS) else None
        except EOFError:
            answer = None
        finally:
            ours.close()
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            self._process.kill()
            raise ConfigError("--ui", "the process of the pages did not start")
        return str(answer)

    def _watch(self) -> None:
        while not self._closing.is_set():
            self._process.join()
            if self._closing.wait(_PAUSE_SECONDS):
                return
            logger.warning("the pages ended with status %s; they are started again", self._process.exitcode)
            try:
                self._start()
            except RunlogOtelError as error:
                logger.warning("%s", error)


def _serve(pages: Pages, started: Connection) -> None:
    os.nice(_NICENESS)
    output.prepare()
    output.log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    try:
        loaded = sources(pages.urls, pages.config)
        server = pages_server(loaded, pages.listening, pages.options)
    except RunlogOtelError as error:
        started.send(error)
        return
    started.send(server.url)
    started.close()
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            multiprocessing.connection.wait([parent.sentinel])
            server.stop()

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run()
