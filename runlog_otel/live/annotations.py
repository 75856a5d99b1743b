"""What the code of an attempt says of itself: masked and bounded when it is said, written into the log at its end."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.failure import failure_from_message, message_from_exception
from runlog_otel.core.model import AttemptEvent, Value
from runlog_otel.core.redaction import MASK, bounded, bounded_names, is_secret_name
from runlog_otel.live.annotation_file import WINDOW, Annotation, AnnotationFile, Recorder, never_raising, plain

_MARGIN = 8 * 1024
"""Dropped at the end of a text that was cut, as it may be a part of a secret."""


class Annotations(Recorder):
    """The annotations and events of one attempt, until it ends.

    Args:
        redact: masks secrets.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self.attributes: dict[str, Value] = {}
        self.events: list[AttemptEvent] = []
        self.is_open = True
        self.file = AnnotationFile.made()
        self._redact = redact
        self._process = os.getpid()

    @never_raising
    def annotate(self, name: str, value: Any) -> None:
        """Say `name` of the attempt; the last value counts."""
        if os.getpid() != self._process:
            self.file.annotate(name, value)
        elif self.is_open:
            self._keep(name, value)

    @never_raising
    def event(self, name: str, attributes: Mapping[str, Any], time_ns: int | None = None) -> None:
        """Say that something happened, now or at another time."""
        if os.getpid() != self._process:
            self.file.event(name, attributes, time_ns)
        elif self.is_open:
            self._keep_event(time.time_ns() if time_ns is None else time_ns, name, attributes)

    @never_raising
    def exception(self, error: BaseException, attributes: Mapping[str, Any], time_ns: int | None) -> None:
        """Say that the code has handled an exception."""
        failure = failure_from_message(message_from_exception(error, error.__traceback__, self._redact), self._redact)
        values = {
            semconv.EXCEPTION_TYPE: failure.type,
            semconv.EXCEPTION_MESSAGE: failure.message,
            semconv.EXCEPTION_STACKTRACE: failure.stacktrace,
        }
        self.event(semconv.EXCEPTION_EVENT, values | dict(attributes), time_ns)

    def close(self) -> None:
        """The attempt has ended: add what is in the file; nothing more is taken."""
        if self.is_open and os.getpid() == self._process:
            self.is_open = False
            for item in self.file.taken():
                self._add(item)

    @never_raising
    def _add(self, item: Annotation | AttemptEvent) -> None:
        if isinstance(item, AttemptEvent):
            self._keep_event(item.time_ns, item.name, item.attributes)
        else:
            self._keep(*item)

    def _keep(self, name: str, value: Any) -> None:
        key = self._name(name)
        if not semconv.is_free(key):
            self.refuse(_not_free(key))
        elif key not in self.attributes and len(self.attributes) >= semconv.MAX_ANNOTATIONS:
            self.refuse(f"an attempt has at most {semconv.MAX_ANNOTATIONS} annotations")
        elif (kept := self._value(key, value)) is not None:
            self.attributes[key] = kept

    def _keep_event(self, time_ns: int, name: str, attributes: Mapping[str, Any]) -> None:
        kind = self._name(name)
        if not semconv.is_free_event(kind):
            self.refuse(_not_free(kind))
        elif len(self.events) >= semconv.MAX_EVENTS:
            self.refuse(f"an attempt has at most {semconv.MAX_EVENTS} events")
        else:
            self.events.append(AttemptEvent(int(time_ns), kind, self._values(kind, attributes)))

    def _values(self, event: str, attributes: Mapping[str, Any]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, value in attributes.items():
            key = self._name(name)
            if not semconv.is_free_in(event, key):
                self.refuse(_not_free(key))
            elif len(values) >= semconv.MAX_EVENT_ATTRIBUTES:
                self.refuse(f"an event has at most {semconv.MAX_EVENT_ATTRIBUTES} attributes")
            elif (kept := self._value(key, value)) is not None:
                values[key] = kept
        return values

    def _name(self, name: Any) -> str:
        return bounded(self._text(str(name).strip()), semconv.MAX_KEY_BYTES)

    def _value(self, name: str, value: Any) -> Value | None:
        kept = plain(value)
        if is_secret_name(name):
            return MASK
        if isinstance(kept, tuple):
            return bounded_names(map(self._text, kept))
        return self._text(kept) if isinstance(kept, str) else kept

    def _text(self, text: str) -> str:
        redacted = self._redact(text[:WINDOW])
        return bounded(redacted if len(text) <= WINDOW else redacted[:-_MARGIN])


def _not_free(name: str) -> str:
    """What is wrong with a name; only its first part is shown, which is ours."""
    return f"names that begin with {name.partition('.')[0]} are reserved" if name else "it has no name"
