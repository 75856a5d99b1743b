"""Reads the caller's trace context when a run starts, and hands on that of an attempt, in environment variables.

`OTEL_PROPAGATORS` says in which formats. Source: the OpenTelemetry specification, "Environment Variables as Context
Propagation Carriers".
"""

from collections import UserDict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from opentelemetry.context import Context
from opentelemetry.trace import (
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from runlog_otel.core.semconv import PIPELINE_RUN_ID
from runlog_otel.core.trace import AttemptContext
from runlog_otel.live.annotations import Annotations
from runlog_otel.live.attempt_span import AttemptSpan
from runlog_otel.live.environment import ENVIRONMENT
from runlog_otel.loggers import package_logger

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

TRACE_CONTEXT, BAGGAGE = "tracecontext", "baggage"


class Propagation(NamedTuple):
    """What is read from the caller's environment, and what the code of a step finds in its own."""

    propagators: tuple[str, ...] = (TRACE_CONTEXT, BAGGAGE)
    prefix: str = ""
    """Of additional variables, for a host that passes only those on to programs."""
    has_run_id: bool = False
    """Whether called programs and services get the run id as baggage."""
    is_child: bool = False
    """Whether the run joined the caller's trace, and so hands on the caller's baggage."""

    def caller(self) -> SpanContext | None:
        """The span that is current in this process, else the one in the environment; None if there is none."""
        span = get_current_span().get_span_context()
        if not span.is_valid:
            formats = tuple(name for name in self.propagators if name != BAGGAGE)
            span = get_current_span(self._extracted(formats)).get_span_context()
        return span if span.is_valid else None

    def context(self, current: AttemptContext, annotations: Annotations) -> Context:
        """The current context, with the attempt as the current span."""
        span_context = SpanContext(
            int.from_bytes(current.trace_id, "big"),
            int.from_bytes(current.span_id, "big"),
            is_remote=True,  # no SDK of this process records it; span processors must treat its children as roots
            trace_flags=TraceFlags(int(current.is_sampled)),
            trace_state=TraceState.from_header([current.tracestate]) if current.tracestate else None,
        )
        context = set_span_in_context(AttemptSpan(span_context, annotations))
        return self._with_baggage(current.run_id, context) if self._has_baggage else context

    def variables(self, current: AttemptContext, context: Context) -> Mapping[str, str | None]:
        """The variables for programs that the attempt starts; None removes one.

        The caller's TRACESTATE belongs to the caller's trace: it is emptied unless the run joined that.
        """
        variables: dict[str, str | None] = {}
        for name in self.propagators:
            if name == TRACE_CONTEXT:
                variables |= {"TRACEPARENT": current.traceparent, "TRACESTATE": current.tracestate}
            elif name == BAGGAGE:
                variables |= _baggage_variable(context) if self._has_baggage else {}
            elif propagator := _loaded(name):
                injected = _Variables()
                propagator.inject(injected, context)
                variables |= dict.fromkeys(map(_variable, propagator.fields)) | injected.data
        return variables | ({self.prefix + name: value for name, value in variables.items()} if self.prefix else {})

    @property
    def _has_baggage(self) -> bool:
        return BAGGAGE in self.propagators and (self.has_run_id or self.is_child)

    def _with_baggage(self, run_id: str, context: Context) -> Context:
        from opentelemetry import baggage  # 1 ms, for few

        if self.is_child and not baggage.get_all(context):
            for name, value in baggage.get_all(self._extracted((BAGGAGE,))).items():
                context = baggage.set_baggage(name, value, context)
        return baggage.set_baggage(PIPELINE_RUN_ID, run_id, context) if self.has_run_id else context

    def _extracted(self, propagators: tuple[str, ...]) -> Context:
        """What the caller set; a program that got only the prefixed variables finds it there."""
        inherited = ENVIRONMENT.inherited()
        own = {name.removeprefix(self.prefix): inherited[name] for name in inherited if name.startswith(self.prefix)}
        variables, context = _Variables(own | inherited), Context()
        for propagator in filter(None, map(_loaded, propagators)):
            context = propagator.extract(variables, context)
        return context


W3C = Propagation()
"""What is in force without settings."""


class _Variables(UserDict[str, str]):
    """Environment variables, which propagators find by the names that they give their fields."""

    def __contains__(self, key: object) -> bool:
        return _variable(str(key)) in self.data

    def __getitem__(self, key: str) -> str:
        return self.data[_variable(key)]

    def __setitem__(self, key: str, value: str) -> None:
        self.data[_variable(key)] = value


def _baggage_variable(context: Context) -> dict[str, str]:
    from opentelemetry import baggage

    entries = baggage.get_all(context).items()
    return {"BAGGAGE": ",".join(f"{quote(key)}={quote(str(value))}" for key, value in entries)}


def _variable(field: str) -> str:
    return field.replace("-", "_").upper()


@cache
def _loaded(name: str) -> "TextMapPropagator | None":
    """An installed propagator, by the name that it has in `OTEL_PROPAGATORS`; None if it cannot be loaded."""
    if name == TRACE_CONTEXT:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        return TraceContextTextMapPropagator()
    if name == BAGGAGE:
        from opentelemetry.baggage.propagation import W3CBaggagePropagator

        return W3CBaggagePropagator()
    from importlib.metadata import entry_points

    try:
        (entry,) = entry_points(group="opentelemetry_propagator", name=name)
        propagator: TextMapPropagator = entry.load()()
    except Exception:  # noqa: BLE001 whatever its module raises: the pipeline continues without it
        package_logger().warning("the propagator %r is ignored: it is not installed", name)
        return None
    return propagator
