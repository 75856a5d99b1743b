"""The environment variables of the process while attempts are current, and without what these set."""

import os
import threading
from collections.abc import Mapping
from typing import Any


class Environment:
    """The variables of the entered scopes. Of several in one process (threads, tasks), the last one sets them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered: dict[Any, Mapping[str, str | None]] = {}
        self._before: dict[str, str | None] = {}

    def enter(self, scope: Any, variables: Mapping[str, str | None]) -> None:
        """Set the variables of a scope; None removes one."""
        with self._lock:
            for name in variables:
                self._before.setdefault(name, os.environ.get(name))
            self._entered[scope] = variables
            _set(variables)

    def leave(self, scope: Any) -> None:
        """Restore what was set before; leaving twice is harmless."""
        with self._lock:
            if self._entered.pop(scope, None) is None:
                return
            _set(self._before | dict(next(reversed(self._entered.values()), {})))
            if not self._entered:
                self._before.clear()

    def only(self) -> Any:
        """The only scope; None if there are none or several."""
        return next(iter(self._entered)) if len(self._entered) == 1 else None

    def inherited(self) -> dict[str, str]:
        """The variables that the process got from its caller, without those of its own scopes."""
        with self._lock:
            return {name: value for name, value in (os.environ | self._before).items() if value is not None}

    def reset_after_fork(self) -> None:
        """In a forked child, the lock may be held by a thread that no longer exists."""
        self._lock = threading.Lock()


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


ENVIRONMENT = Environment()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ENVIRONMENT.reset_after_fork)
