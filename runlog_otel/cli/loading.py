"""Loads the host, quietly, and its config."""

import contextlib
import io
from typing import TYPE_CHECKING, Any

from runlog_otel.errors import MissingExtraError

if TYPE_CHECKING:
    from runlog_otel.hosts.runnable.project import Project


def project(config_file: str, **options: Any) -> "Project":
    """The project of a config file; settings that are given win.

    Raises:
        MissingExtraError: the host is not installed.
        ConfigError: the config is wrong.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the host greets whoever imports it
            from runlog_otel.hosts.runnable.project import Project
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading a config of runnable", "runnable") from error
    return Project.load(config_file, {key: value for key, value in options.items() if value})
