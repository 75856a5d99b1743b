"""Sends a whole trace, again and again if need be: what replays do, where the pipeline does not wait."""

import time

from runlog_otel.errors import DeliveryError
from runlog_otel.exporters.delivery import BATCH_SPANS
from runlog_otel.exporters.sink import SpanSink
from runlog_otel.settings import Settings
from runlog_otel.trace import Trace

_PAUSES_SECONDS = (1.0, 2.0)
"""Before a request is repeated that the backend could take later (OTLP specification, "Failures")."""
_LONGEST_PAUSE_SECONDS = 10.0
"""A backend that asks for more is down for now: the run is remembered as unsent."""


def send_trace(trace: Trace, sink: SpanSink, settings: Settings) -> None:
    """Send the spans of a trace in batches.

    Raises:
        DeliveryError: not every span was acknowledged.
    """
    resource = settings.resource_attributes(trace.execution.resource_pipeline())
    for at in range(0, len(trace.spans), BATCH_SPANS):
        batch = trace.spans[at : at + BATCH_SPANS]
        for pause in _PAUSES_SECONDS:
            try:
                sink.send(resource, batch, settings.timeout_seconds)
                break
            except DeliveryError as error:
                if not error.is_transient or error.retry_after_seconds > _LONGEST_PAUSE_SECONDS:
                    raise
                time.sleep(max(pause, error.retry_after_seconds))
        else:
            sink.send(resource, batch, settings.timeout_seconds)
