"""The PEM files that the settings name."""

from typing import NamedTuple

from runlog_otel.errors import ConfigError
from runlog_otel.settings import Settings


class PemFiles(NamedTuple):
    """Their contents; None where a setting names none."""

    certificate: bytes | None
    client_key: bytes | None
    client_certificate: bytes | None


def pem_files(settings: Settings) -> PemFiles:
    """Read the files.

    Raises:
        ConfigError: one of them cannot be read; names setting and file.
    """
    return PemFiles(*(_content(settings, field) for field in PemFiles._fields))


def _content(settings: Settings, field: str) -> bytes | None:
    path = getattr(settings, field)
    try:
        return path.read_bytes() if path else None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"telemetry.{field}", f"{path} cannot be read: {problem}") from error
