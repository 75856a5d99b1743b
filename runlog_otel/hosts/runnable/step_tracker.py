"""Makes a step's attempt current while its code runs, and captures why the code failed.

The host swallows the exceptions of a step. While it handles one, it reports it to its stream queue (Python tasks) or to
its logger (all others): see `private`.
"""

import logging
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runnable import defaults
from runnable.datastore import JobLog, StepLog

from runlog_otel.core import failure, semconv
from runlog_otel.core.failure import Redact
from runlog_otel.core.model import ExecutionLog, Facts
from runlog_otel.core.redaction import redacted
from runlog_otel.core.runlogs.execution_logs import grouped
from runlog_otel.hosts.runnable import private
from runlog_otel.live import attempt_context
from runlog_otel.live.attempt_context import AttemptScope
from runlog_otel.live.observer import Observer

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output

READ_BYTES = 80 * 1024
"""How much of the end of an execution log is read to find out why a step failed."""


class SavedLog(NamedTuple):
    """The output of an attempt, and what its log is to say of it."""

    log: ExecutionLog
    output: "Output"


class FailureCapture(logging.Filter):
    """Captures failures of a step's code: a stream queue of the host and a pass-through filter of its logger.

    Args:
        scope: the current attempt.
        number: of the attempt.
        redact: masks secrets in what is written into the log.
        has_evidence: whether to capture why the code fails.
    """

    def __init__(self, scope: AttemptScope, number: int, redact: Redact, *, has_evidence: bool) -> None:
        super().__init__()
        self.number = number
        self._redact = redact
        self.scope = scope
        self.message = ""
        """Why the code failed; empty if the host reported no exception."""
        self._saved = ("", False)
        self._queue_before = private.stream_queue()
        self._has_evidence = has_evidence
        if has_evidence:
            private.replace_stream_queue(self)
            private.host_logger().addFilter(self)

    def code_has_ended(self) -> None:
        """Restore what can be restored: the host has reported an exception by now, and may still raise another one."""
        self.scope.code_has_ended()
        self._stop_looking()

    def leave(self) -> None:
        """Restore everything."""
        self.scope.leave()
        self._stop_looking()

    def _stop_looking(self) -> None:
        if self._has_evidence:
            private.host_logger().removeFilter(self)
            if private.stream_queue() is self:
                private.replace_stream_queue(self._queue_before)

    def put_nowait(self, event: dict[str, Any]) -> None:
        """Inspect an event of the host, and forward it to the original queue."""
        if private.is_task_error(event):
            self._failed(sys.exc_info()[1])
        if self._queue_before is not None:
            self._queue_before.put_nowait(event)

    def __getattr__(self, name: str) -> Any:
        """Behave like the original queue for the step's code."""
        return getattr(self._queue_before, name)

    def filter(self, record: logging.LogRecord) -> bool:
        """Inspect a record of the host's logger; let it pass."""
        if record.exc_info and attempt_context.entered_here() is self.scope:
            self._failed(record.exc_info[1])
        return True

    def log_saved(self, path: Path) -> None:
        """Keep the end of the saved execution log, which may be missing or contain anything."""
        with suppress(OSError), path.open("rb") as file:
            at = max(0, path.stat().st_size - READ_BYTES)
            file.seek(at)
            self._saved = file.read(READ_BYTES).decode("utf-8", "replace"), at > 0

    @property
    def log(self) -> str:
        """The end of the execution log; only asked for of a failed attempt, as unfolding it takes 0.2 ms."""
        text, is_cut = self._saved
        return failure.unfolded(text.partition("\n")[2] if is_cut else text, max(private.log_width(), 10))

    def evidence(self) -> str:
        """The message of the failed attempt; empty if none is known or evidence is turned off."""
        with suppress(Exception):
            return self.message or (failure.message_from_log(self.log, self._redact) if self._has_evidence else "")
        return ""

    def _failed(self, error: BaseException | None) -> None:
        with suppress(Exception):  # evidence is lost, but the step continues
            if error is not None:
                from runlog_otel.live.ending import interruption  # only for failures

                self.message = _message(error, self._redact)
                if interrupted := interruption(private.error_of_code(error)[0]):
                    self.scope.error_type = interrupted.value
                if _is_killed(error) and self.scope.usage.lacks_memory():
                    self.scope.error_type = semconv.OOM_KILLED


class StepTracker:
    """Tracks the step whose code runs in this process, from the calls to a wrapper. Can be pickled between steps."""

    def __init__(self, observer: Observer, redact: Redact = redacted) -> None:
        self._observer = observer
        self._redact = redact
        self._capture: FailureCapture | None = None
        self._saved: SavedLog | None = None
        self._stderr: tuple[tuple[int, int], ...] = ()
        self._job: str | None = None
        """The run whose job was recorded, and whose output is to be exported once it is saved."""

    def run_begins(self) -> None:
        """Leave a previous run's attempt, if the host raised while a span around the code was open."""
        if (scope := attempt_context.entered_here()) and scope.has_ended:
            scope.leave()

    def enter(self, run_id: str, path: str, number: int) -> None:
        """The code of an attempt is about to run."""
        self._leave()
        self._saved, self._stderr, self._job = None, (), None
        scope = self._observer.attempt_entered(run_id, path, number, private.VARIABLE_PREFIX)
        if scope is not None:
            has_evidence = self._observer.settings.failure_evidence
            self._capture = FailureCapture(scope, number, self._redact, has_evidence=has_evidence)

    def parameters_set(self) -> None:
        """The host sets parameters when the code has ended, failed or not (`BaseTaskType.execution_context`)."""
        if self._capture:
            self._capture.code_has_ended()
            if self._observer.settings.logs != "none":
                self._stderr = self._observer.guard(_stderr) or ()

    def log_saved(self, name: str) -> tuple[str, SavedLog] | None:
        """A file is saved in the catalog: an execution log, before a step is recorded, but after a job.

        Returns:
            A run and the output of its job, if that was recorded before and its output is exported.
        """
        if not name.endswith(private.EXECUTION_LOG_SUFFIX):
            return None
        if self._capture:
            self._capture.log_saved(Path(name))
        job, self._job = self._job, None
        if self._observer.settings.logs == "none" or not (self._capture or job):
            return None
        self._saved = self._observer.guard(lambda: _saved_log(name, self._stderr))
        return (job, self._saved) if job and self._saved else None

    def ended(self, run_id: str, path: str, logged: StepLog | JobLog) -> tuple[Facts | None, SavedLog | None]:
        """A step is about to be recorded: if its attempt failed, write the reason into its message.

        Returns:
            What is known of the attempt, and its output, if that is exported and saved by now; None if its code did not
            run here.
        """
        capture = self._capture
        if not capture or (capture.scope.current.run_id, capture.scope.current.step) != (run_id, path):
            return None, None
        saved, self._saved = self._saved, None
        attempts = logged.attempts[capture.number - 1 :]
        has_failed = bool(attempts) and attempts[-1].status == defaults.FAIL
        if has_failed:
            attempts[-1].message = capture.evidence() or attempts[-1].message
        self._leave()
        facts = self._observer.guard(capture.scope.facts)
        if not attempts or self._observer.settings.logs not in ("all", "failed" if has_failed else "all"):
            return facts, None
        self._job = run_id if isinstance(logged, JobLog) else None
        return facts, saved

    def _leave(self) -> None:
        capture, self._capture = self._capture, None
        if capture:
            capture.leave()


def _is_killed(error: BaseException) -> bool:
    """Whether a program of a shell task was killed at once; a shell reports its program's signal as 128 and more."""
    status, _ = private.program_exit(error) or (0, "")
    return status in (-signal.SIGKILL, 128 + signal.SIGKILL)


def _stderr() -> tuple[tuple[int, int], ...]:
    return grouped(private.stderr_lines())


def _saved_log(name: str, stderr: tuple[tuple[int, int], ...]) -> SavedLog | None:
    from runlog_otel.hosts.runnable.execution_logs import output_of_file  # only where logs are exported

    output = output_of_file(Path(name))
    return SavedLog(ExecutionLog(Path(name).name, private.log_width(), stderr), output) if output else None


def _message(error: BaseException, redact: Redact) -> str:
    """Why the code failed: its own exception, or the exit status of its program."""
    if exit_status := private.program_exit(error):
        return failure.message_from_exit(*exit_status, redact)
    return failure.message_from_exception(*private.error_of_code(error), redact)
