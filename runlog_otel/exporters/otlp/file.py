"""OTLP/JSON lines in a file: what Jaeger's page opens by upload, and the collector's file receiver reads."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from runlog_otel.core.trace import Span
from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.otlp.encode import json_from_request, request_from_spans
from runlog_otel.exporters.otlp.size_limit import SizeLimit
from runlog_otel.exporters.span_sink import SpanSink
from runlog_otel.private_files import make_private
from runlog_otel.settings import Settings


class OtlpFileSink(SpanSink):
    """Appends one line per request; lines of many processes do not mix.

    Source: OpenTelemetry Protocol File Exporter specification (JSON lines).
    """

    def __init__(self, settings: Settings) -> None:
        self._path = path_from_url(settings.target)
        self._limit = SizeLimit(settings)

    @override
    def send(self, resource: Mapping[str, str], spans: Sequence[Span], timeout_seconds: float) -> None:
        """The line is in the file, not yet on the disk, when this returns."""
        line = json_from_request(request_from_spans(resource, spans)).encode() + b"\n" if spans else b""
        self._limit.check(str(self._path), len(line), len(line), is_divisible=len(spans) > 1)
        try:
            make_private(self._path)
            with self._path.open("ab", buffering=0) as file:
                _lock(file.fileno())
                file.write(line)
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            problem = error.strerror if isinstance(error, OSError) else None
            raise DeliveryError(str(self._path), problem or str(error)) from error

    @override
    def close(self) -> None:
        """Nothing is kept open."""


def path_from_url(url: str) -> Path:
    """The path of a `file:` URL."""
    return Path(unquote(urlsplit(url).path))


def _lock(file_number: int) -> None:
    """Wait for other writers of the file, where the system has such locks; closing the file unlocks it."""
    if os.name == "posix":
        import fcntl

        fcntl.flock(file_number, fcntl.LOCK_EX)
