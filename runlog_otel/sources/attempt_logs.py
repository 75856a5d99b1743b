"""Sends the logs of a run's attempts again, from where its source keeps them."""

from collections.abc import Iterator, Sequence

from runlog_otel.core.executions import timeline_of
from runlog_otel.core.log_lines import AttemptLog
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
        return sum(map(self._sender.send_with_retries, self._logs(run, traces)))

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()

    def _logs(self, run: Run, traces: Sequence[Trace]) -> Iterator[AttemptLog]:
        timeline, steps = timeline_of(run), list(run.all_steps())
        for trace in traces:
            for step in steps:
                for attempt in timeline.attempts(step, trace.execution.number):
                    output = self._source.output(run.run_id, attempt.log) if attempt.log else None
                    if output:
                        yield AttemptLog(trace.execution, step.path, attempt, output)
