"""The attempt as the current span of OpenTelemetry: what code says of the current span, it says of the attempt."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode
from typing_extensions import override

from runlog_otel.core import semconv
from runlog_otel.live.annotations import Annotations


class AttemptSpan(NonRecordingSpan):
    """Records what it gets until the attempt ends. Name, end, links and status are the host's."""

    def __init__(self, context: SpanContext, annotations: Annotations) -> None:
        super().__init__(context)
        self._annotations = annotations

    @override
    def is_recording(self) -> bool:
        return self._annotations.is_open

    @override
    def set_attribute(self, key: str, value: Any) -> None:
        self._annotations.annotate(key, value)

    @override
    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self._annotations.annotate(key, value)

    @override
    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        self._annotations.event(name, attributes or {}, timestamp)

    @override
    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self._annotations.exception(exception, attributes or {}, timestamp)

    @override
    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Record it as an event, as the host decides whether the attempt failed."""
        whole = status if isinstance(status, Status) else Status(status, description)
        if not whole.is_unset:
            values = {semconv.STATUS_CODE: whole.status_code.name, semconv.STATUS_DESCRIPTION: whole.description}
            self._annotations.event(semconv.STATUS_EVENT, values)
