"""Calls of `runlog-otel`, for the fixtures that make them."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runlog_otel.cli import main


@dataclass(frozen=True)
class Called:
    """What a call printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)


Command = Callable[..., Called]


def calls_in_this_process(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Calls in a project; the log handlers of this process are restored."""
    monkeypatch.chdir(project)
    handlers = logging.root.handlers[:]

    def call(*arguments: str) -> Called:
        capfd.readouterr()
        status = main(arguments)
        return Called(status, *capfd.readouterr())

    yield call
    logging.root.handlers[:] = handlers
