"""Sees what a host raises while it executes a run: the host tells nobody, and a program may catch it and go on."""

from types import TracebackType
from typing import Any

from runlog_otel.hosts.kit.wrapper import Wrapper


class Reporting:
    """A context around the execution of a run, which reports an exception to the wrapper and lets it pass.

    Args:
        current: the host's run context.
    """

    def __init__(self, current: Any) -> None:
        self._current = current

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        """Report the exception, an interrupt too."""
        store = self._current.run_log_store
        if error is not None and isinstance(store, Wrapper):
            store.execution_raised(self._current.run_id, error)
