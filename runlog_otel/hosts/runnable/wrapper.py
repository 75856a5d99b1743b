"""The wrapper (`type: otel`) as a store of runnable."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from runnable.datastore import BaseRunLogStore, CodeIdentity, DataCatalog, JobLog, RunLog, StepLog
from typing_extensions import override

from runlog_otel.core.model import Facts, Status
from runlog_otel.core.runlogs import header, json_runlog
from runlog_otel.core.runlogs.execution_logs import code_from_log
from runlog_otel.core.runlogs.facts import FACTS, code_from_facts, text_of_facts
from runlog_otel.core.runlogs.timestamps import NOTE, AttemptNote, code_from_note, text_of_note
from runlog_otel.hosts.kit import adapter
from runlog_otel.hosts.kit.raising import Reporting
from runlog_otel.hosts.kit.wrapper import WITHOUT_CODE, Wrapper, add_forwarders
from runlog_otel.hosts.runnable import private
from runlog_otel.hosts.runnable.adapter import HostAdapter

if TYPE_CHECKING:
    from runlog_otel.hosts.runnable.step_tracker import SavedLog, StepTracker


class OtelRunLogStore(Wrapper, BaseRunLogStore):  # type: ignore[misc]  # the host has no type information
    """A store of runnable, and a trace of every run; adds retries, jobs and the tracking of steps."""

    _host: ClassVar[type[adapter.HostAdapter]] = HostAdapter

    @cached_property
    def _steps(self) -> "StepTracker":
        """Made with the observer."""
        from runlog_otel.hosts.runnable.step_tracker import StepTracker

        return StepTracker(self._observer, self._observer.masked)

    @override
    def set_run_config(self, run_id: str, run_config: dict[str, Any], **kwargs: Any) -> Any:
        """A run begins with this call."""
        if self._settings.is_active:
            self._steps.run_begins()
        return super().set_run_config(run_id, run_config, **kwargs)

    def get_run_log_by_id(self, run_id: str, full: bool = False) -> RunLog:
        """Return the log; a retry begins when the host reads the whole one."""
        run_log = self._inner.get_run_log_by_id(run_id, full)
        if full:
            self._observer.retry_started(
                lambda: self._runs.mapped(run_log.model_dump()),
                run_id,
                is_orchestrator=self._host.is_orchestrator(),
            )
        return run_log

    @override
    def get_step_log(self, internal_name: str, run_id: str, **kwargs: Any) -> StepLog:
        step_log = super().get_step_log(internal_name, run_id, **kwargs)
        if step_log.step_type not in WITHOUT_CODE and private.is_read_before_code():
            self._steps.enter(run_id, internal_name, len(step_log.attempts) + 1)  # as the host numbers them
        return step_log

    def set_parameters(self, *args: Any, **kwargs: Any) -> Any:
        """Set parameters; the host does so when a step's code has ended, whether it failed or not."""
        try:
            return self._inner.set_parameters(*args, **kwargs)
        finally:
            self._steps.parameters_set()

    def create_data_catalog(self, name: str) -> DataCatalog:
        """Return a catalog entry; a step's execution log is a file in the catalog."""
        if of_job := self._steps.log_saved(name):
            self._observer.guard(lambda: self._job_logged(*of_job))
        return self._inner.create_data_catalog(name)

    def _job_logged(self, run_id: str, saved: "SavedLog") -> None:
        """The output of a job is saved after the job was recorded: record it once more, with its log's name."""
        job_log = self._inner.get_job_log(run_id)
        self._add_log(run_id, job_log, saved)
        self._inner.add_job_log(run_id, job_log)
        self._observer.attempt_logged(run_id, self._mapped(job_log, json_runlog.step_from_job), saved.output)

    def _add_log(self, run_id: str, logged: StepLog | JobLog, saved: "SavedLog") -> None:
        """Add to the last attempt the name of its execution log, and the fingerprints of the secrets in that."""
        codes = [code_from_log(saved.log)]
        if self._exposed:
            output = saved.output.cleaned(saved.log.columns)
            if marks := self._exposed.marks_in([output.first, output.last], run_id, is_wrapped=True):
                codes.append(header.code_from_marks(marks))
        logged.attempts[-1].code_identities += [CodeIdentity(**code) for code in codes]

    @override
    def add_step_log(self, step_log: StepLog, run_id: str, **kwargs: Any) -> Any:
        self._ran, saved = self._steps.ended(run_id, step_log.internal_name, step_log)
        self._mark(run_id, step_log.internal_name, step_log)
        if saved:
            self._observer.guard(lambda: self._add_log(run_id, step_log, saved))
        answer = super().add_step_log(step_log, run_id, **kwargs)
        if saved:
            self._observer.attempt_logged(run_id, self._mapped(step_log, json_runlog.step_from_log), saved.output)
        return answer

    def get_job_log(self, run_id: str) -> JobLog:
        """Return the job's log; the host reads it right before it runs the job's code."""
        job_log = self._inner.get_job_log(run_id)
        self._learn_secrets()
        self._see(run_id, json_runlog.JOB_STEP, job_log)
        if failed := sum(attempt.status == Status.FAIL.value for attempt in job_log.attempts):
            self._observer.job_begins_again(run_id, failed + 1)
        self._steps.enter(run_id, json_runlog.JOB_STEP, number=1)  # the host gives every attempt at a job this number
        return job_log

    def add_job_log(self, run_id: str, job_log: JobLog) -> Any:
        """Record the job; the inner store also sets the run's status."""
        self._ran, _ = self._steps.ended(run_id, json_runlog.JOB_STEP, job_log)
        self._mark(run_id, json_runlog.JOB_STEP, job_log)
        self._note(run_id, json_runlog.JOB_STEP, job_log)
        answer = self._inner.add_job_log(run_id, job_log)
        self._attempted(run_id, json_runlog.JOB_STEP, job_log, json_runlog.step_from_job)
        self._may_be_complete(run_id, job_log.status)
        return answer

    def _mark(self, run_id: str, path: str, logged: StepLog | JobLog) -> None:
        """Add to new attempts the fingerprints of secrets in their part of the log: every mapping masks these."""

        def mark() -> None:
            new = logged.attempts[self._attempts_seen(run_id, path) :]
            marks = self._exposed.marks_in(logged.model_dump(exclude={"branches"}), run_id) if new else []
            for attempt in new if marks else ():
                attempt.code_identities.append(CodeIdentity(**header.code_from_marks(marks)))

        if self._exposed:
            self._observer.guard(mark)

    @override
    def _add_note(self, logged: StepLog | JobLog, index: int, note: AttemptNote, facts: Facts | None) -> None:
        identities = logged.attempts[index].code_identities
        own = next((code for code in identities if code.code_identifier_type == "git"), None)
        if own is None:
            codes = [code_from_note(note), *([code_from_facts(facts)] if facts else [])]
            identities += [CodeIdentity(**code) for code in codes]
            return
        # Keys, not identities of five keys: the host writes the whole log 3 times a step, 120 ms less CPU in 50 steps.
        setattr(own, NOTE, text_of_note(note))
        if facts:
            setattr(own, FACTS, text_of_facts(facts))


add_forwarders(OtelRunLogStore)
private.surround_executions(Reporting)
