"""Metrics of the runs that end in this process, served by it (`metrics.listen`): for hosts that live long."""

import os

from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.metrics_settings import MetricsSettings


def table_served(settings: MetricsSettings) -> SeriesTable:
    """The table behind an address, which is listened on from the first call on.

    Raises:
        ConfigError: the address cannot be used; another process may listen there.
    """
    if settings.listen not in _SERVED:
        table = SeriesTable(settings.max_series)
        _SERVED[settings.listen] = (table, MetricsServer(table, settings.listen))
    return _SERVED[settings.listen][0]


_SERVED: dict[str, tuple[SeriesTable, MetricsServer]] = {}


def _reset_after_fork() -> None:
    """In the child of a fork: the parent serves."""
    for _, server in _SERVED.values():
        server.close()
    _SERVED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
