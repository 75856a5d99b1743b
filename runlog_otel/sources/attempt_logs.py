"""Sends the logs of a run's attempts again, from where its source keeps them."""

from collections.abc import Sequence
from functools import partial

from runlog_otel.core.log_lines import logs_of_execution
from runlog_otel.core.model import Run
from runlog_otel.core.trace import Trace
from runlog_otel.exporters.traces.attempt_logs import LogSender
from runlog_otel.sources.port import Source


class LogReplay:
    """Sends the logs that the attempts of a run name: those that its processes sent."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sender = LogSender(source.settings)

    def send(self, run: Run, traces: Sequence[Trace]) -> int:
        """Send the logs of some executions of a run; returns how many records that were.

        Raises:
            RunlogOtelError: the source could not be read.
            DeliveryError: not all records were acknowledged.
        """
        read = partial(self._source.output, run.run_id)
        logs = (log for trace in traces for log in logs_of_execution(run, trace.execution, read))
        return sum(map(self._sender.send_with_retries, logs))

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()
