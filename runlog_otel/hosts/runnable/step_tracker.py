"""A step of runnable from within: its attempt is current while its code runs, and why it failed is caught.

The host swallows what a step raises, in one of two places, with the exception still in hand: it tells its stream queue
(`BaseTaskType._emit_event`: Python tasks), or its logger (`expose_secrets` and `execution_context`: all others).
"""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from runnable import defaults
from runnable.datastore import JobLog, StepLog

from runlog_otel.core import failure
from runlog_otel.core.failure import Redact
from runlog_otel.core.redaction import redacted
from runlog_otel.hosts.runnable import private
from runlog_otel.live import attempt_context
from runlog_otel.live.attempt_context import AttemptScope
from runlog_otel.live.observer import Observer

READ_BYTES = failure.LOG_BYTES + 16 * 1024
"""Of an execution log: more than is told, as a secret that is cut in its midst is not recognised."""


class FailureCapture(logging.Filter):
    """The time in which a step's code runs; a stream queue of the host, and a filter that filters nothing.

    Args:
        entered: the attempt that is current.
        number: of the attempt.
        redact: takes secrets out of what is written into the log.
        has_evidence: whether to find out why it fails.
    """

    def __init__(self, entered: AttemptScope, number: int, redact: Redact, *, has_evidence: bool) -> None:
        super().__init__()
        self.number = number
        self._redact = redact
        self.entered = entered
        self.message = ""
        """Why the code failed, as far as the host had an exception."""
        self.log = ""
        """The end of the execution log."""
        self._queue_before = private.stream_queue()
        self._has_evidence = has_evidence
        if has_evidence:
            private.replace_stream_queue(self)
            private.host_logger().addFilter(self)

    def code_has_ended(self) -> None:
        """Put back what can be: the host told of an exception before, and may raise one out of the run after this."""
        self.entered.code_has_ended()
        self._stop_looking()

    def leave(self) -> None:
        """Put everything back as it was."""
        self.entered.leave()
        self._stop_looking()

    def _stop_looking(self) -> None:
        if self._has_evidence:
            private.host_logger().removeFilter(self)
            if private.stream_queue() is self:
                private.replace_stream_queue(self._queue_before)

    def put_nowait(self, event: dict[str, Any]) -> None:
        """Look at an event of the host, and hand it to whoever streams events."""
        if private.is_task_error(event):
            self._failed(sys.exc_info()[1])
        if self._queue_before is not None:
            self._queue_before.put_nowait(event)

    def __getattr__(self, name: str) -> Any:
        """To the code of the step this is the queue that is streamed to."""
        return getattr(self._queue_before, name)

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at a record of the host's logger."""
        if record.exc_info and attempt_context.entered_here() is self.entered:
            self._failed(record.exc_info[1])
        return True

    def log_saved(self, path: Path) -> None:
        """The execution log passes by: keep its end. The code may have left anything there, or nothing."""
        with suppress(OSError), path.open("rb") as file:
            at = max(0, path.stat().st_size - READ_BYTES)
            file.seek(at)
            text = file.read(READ_BYTES).decode("utf-8", "replace")
            self.log = failure.unfolded(text.partition("\n")[2] if at else text, max(private.log_width(), 10))

    def evidence(self) -> str:
        """The message of the failed attempt; empty when nothing is known, or nothing is to be told."""
        with suppress(Exception):
            return self.message or (failure.message_from_log(self.log, self._redact) if self._has_evidence else "")
        return ""

    def _failed(self, error: BaseException | None) -> None:
        with suppress(Exception):  # evidence degrades, and the step goes on as it would
            if error is not None:
                self.message = _message(error, self._redact)


class StepTracker:
    """The step whose code runs in this process, from what a wrapper sees of it. Can be pickled between steps."""

    def __init__(self, observer: Observer, redact: Redact = redacted) -> None:
        self._observer = observer
        self._redact = redact
        self._inside: FailureCapture | None = None
        self._failed: FailureCapture | None = None

    def run_begins(self) -> None:
        """Leave what a run before it left current: its host raised while a span around the code was open."""
        if (entered := attempt_context.entered_here()) and entered.has_ended:
            entered.leave()

    def enter(self, run_id: str, path: str, number: int) -> None:
        """The code of an attempt is about to run."""
        self._leave()
        entered = self._observer.attempt_entered(run_id, path, number, private.VARIABLE_PREFIX)
        if entered is not None:
            has_evidence = self._observer.settings.failure_evidence
            self._inside = FailureCapture(entered, number, self._redact, has_evidence=has_evidence)

    def parameters_set(self) -> None:
        """The host sets parameters when the code has ended, however it did (`BaseTaskType.execution_context`)."""
        if self._inside:
            self._inside.code_has_ended()

    def log_saved(self, name: str) -> None:
        """A file goes into the catalog: what was printed in a step before it is recorded, in a job afterwards."""
        inside = self._inside or self._failed
        if inside and name.endswith(private.EXECUTION_LOG_SUFFIX):
            inside.log_saved(Path(name))
            self._send_log()

    def ended(self, run_id: str, path: str, logged: StepLog | JobLog) -> None:
        """A step is about to be recorded: if its attempt failed, its message is to say why."""
        inside = self._inside
        if inside and (inside.entered.current.run_id, inside.entered.current.step) == (run_id, path):
            attempts = logged.attempts[inside.number - 1 :]
            self._failed = inside if attempts and attempts[-1].status == defaults.FAIL else None
            if self._failed:
                attempts[-1].message = inside.evidence() or attempts[-1].message
            self._leave()

    def recorded(self) -> None:
        """What ended is recorded."""
        self._send_log()

    def _send_log(self) -> None:
        if self._failed and self._failed.log:
            failed, self._failed = self._failed, None
            if text := failure.without_parameters(failed.log).strip():
                self._observer.attempt_logged(failed.entered.current, text)

    def _leave(self) -> None:
        inside, self._inside = self._inside, None
        if inside:
            inside.leave()


def _message(error: BaseException, redact: Redact) -> str:
    """Why the code failed: its own exception, or the exit status of its program."""
    if exit_status := private.program_exit(error):
        return failure.message_from_exit(*exit_status, redact)
    return failure.message_from_exception(*private.error_of_code(error), redact)
