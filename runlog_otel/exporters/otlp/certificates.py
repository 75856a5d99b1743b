"""The PEM files that the settings name."""

import ssl
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


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """What the files say of trust; raises as `pem_files`, and ConfigError for one that holds something else."""
    pem_files(settings)
    try:
        context = ssl.create_default_context(cafile=settings.certificate)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError("telemetry.certificate", f"{settings.certificate} cannot be used: {error}") from error
    try:
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
    except OSError as error:
        files = f"{settings.client_certificate} and {settings.client_key or 'no key'}"
        raise ConfigError("telemetry.client_certificate, client_key", f"{files} cannot be used: {error}") from error
    return context


def _content(settings: Settings, field: str) -> bytes | None:
    path = getattr(settings, field)
    try:
        return path.read_bytes() if path else None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        problem = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"telemetry.{field}", f"{path} cannot be read: {problem}") from error
