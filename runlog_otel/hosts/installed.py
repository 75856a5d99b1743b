"""The stores of the installed host, runnable or magnus, which the entry points name. Imports the host on access."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

_MODULES = {
    "runnable": {
        "OtelRunLogStore": "runlog_otel.hosts.runnable.wrapper",
        "SqlRunLogStore": "runlog_otel.hosts.runnable.stores",
        "MemoryRunLogStore": "runlog_otel.hosts.runnable.stores",
        "HostAdapter": "runlog_otel.hosts.runnable.adapter",
    },
    "magnus": dict.fromkeys(
        ("OtelRunLogStore", "SqlRunLogStore", "MemoryRunLogStore", "HostAdapter"), "runlog_otel.hosts.magnus.plugins"
    ),
}


def installed() -> str | None:
    """The installed host, None without one; one environment cannot have both."""
    return next((host for host in _MODULES if find_spec(host) is not None), None)


def __getattr__(name: str) -> Any:
    """A class of the installed host.

    Raises:
        AttributeError: there is no such class, or no host.
    """
    module = _MODULES.get(installed() or "", {}).get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: is runnable or magnus installed?")
    return getattr(import_module(module), name)
