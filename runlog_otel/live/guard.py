"""The one place that keeps errors of telemetry away from the pipeline."""

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from runlog_otel.loggers import package_logger

_T = TypeVar("_T")


class Guard:
    """Logs the first error as a warning, and the others at debug level. Can be pickled if `masked` can."""

    def __init__(self, masked: Callable[[str], str]) -> None:
        self._masked = masked
        self._has_logged = False

    def call(self, work: Callable[[], _T]) -> _T | None:
        """Return what `work` returns, or None if it fails."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 the pipeline continues after any error
            self._log(error)
            return None

    def _log(self, error: Exception) -> None:
        logger = package_logger()
        level = logging.DEBUG if self._has_logged else logging.WARNING
        self._has_logged = True
        text = self._masked(str(error))
        logger.log(level, "telemetry failed, the pipeline goes on: %s: %s", type(error).__name__, text)
        if logger.isEnabledFor(logging.DEBUG):
            for line in self._masked("".join(traceback.format_exception(error))).splitlines():
                logger.debug("where telemetry failed: %s", line)
