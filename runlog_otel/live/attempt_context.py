"""Makes an attempt the current span while its code runs, in OpenTelemetry's context and in the environment.

The attempt is then the parent of the spans of any instrumentation, and of programs that read TRACEPARENT. Only
OpenTelemetry's API is used, not the providers of the process.
"""

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar

from opentelemetry import context

from runlog_otel.core.model import Facts
from runlog_otel.core.redaction import redacted
from runlog_otel.core.trace import AttemptContext
from runlog_otel.live.annotation_file import VARIABLE, AnnotationFile
from runlog_otel.live.annotations import Annotations
from runlog_otel.live.environment import ENVIRONMENT
from runlog_otel.live.propagation import W3C, Propagation
from runlog_otel.live.usage import UsageMeter
from runlog_otel.live.where import where


class AttemptScope:
    """The time in which an attempt is current. `leave` it in the same thread or task; leaving it twice is harmless.

    Args:
        current: the attempt.
        propagation: what the code finds in its context and its environment.
        redact: masks secrets in what the code says of the attempt.
    """

    def __init__(
        self, current: AttemptContext, propagation: Propagation = W3C, redact: Callable[[str], str] = redacted
    ) -> None:
        self.current = current
        self.has_ended = False
        self.annotations = Annotations(redact)
        self.usage = UsageMeter()
        self.error_type = ""
        """Why the code failed, where this process knows it better than the log."""
        self._context = propagation.context(current, self.annotations)
        self._variables = {**propagation.variables(current, self._context), **self.annotations.file.variables}
        self._token = context.attach(self._context)
        self._own_token = _CURRENT_SCOPE.set(self)
        ENVIRONMENT.enter(self, self._variables)

    def facts(self) -> Facts:
        """What this process knows of the attempt, when its code has ended; not redacted."""
        return Facts(
            {**where(), **self.usage.attributes},
            dict(self.annotations.attributes),
            tuple(self.annotations.events),
            self.error_type,
        )

    def code_has_ended(self) -> None:
        """Restore the environment, and also the context unless a span around the code is still open."""
        self._end()
        if context.get_current() is self._context:
            self.leave()

    def leave(self) -> None:
        """Restore what was current before."""
        self._end()
        if _CURRENT_SCOPE.get() is self:
            with suppress(ValueError):  # a task with a copy of the context cannot restore the original
                _CURRENT_SCOPE.reset(self._own_token)
                context.detach(self._token)

    def _end(self) -> None:
        if self.has_ended:
            return
        with suppress(Exception):  # what follows must happen
            self.usage.stop()
        with suppress(Exception):
            self.annotations.close()
        self.has_ended = True
        ENVIRONMENT.leave(self)


def current() -> AttemptContext | None:
    """The attempt whose code is running here; in a thread without one, the only one of the process."""
    scope = _scope_here()
    return scope.current if scope else None


def annotations_here() -> Annotations | AnnotationFile | None:
    """Where code says something of that attempt; without one, of the attempt that started this process."""
    if scope := _scope_here():
        return scope.annotations
    path = ENVIRONMENT.inherited().get(VARIABLE)
    return AnnotationFile(path) if path else None


def entered_here() -> AttemptScope | None:
    """The scope that this thread or task has entered and not left."""
    return _CURRENT_SCOPE.get()


def _scope_here() -> AttemptScope | None:
    scope = _CURRENT_SCOPE.get() or ENVIRONMENT.only()
    return scope if scope and not scope.has_ended else None


_CURRENT_SCOPE: ContextVar[AttemptScope | None] = ContextVar("runlog_otel.entered", default=None)
