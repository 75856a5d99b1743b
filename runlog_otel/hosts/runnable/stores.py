"""Our stores (`type: sql`, also `db`, and `type: memory`) as stores of runnable: its models are documents, and back."""

from typing import Any

from runnable import defaults, exceptions
from runnable.datastore import BaseRunLogStore, BranchLog, JobLog, Parameter, RunLog, StepLog

from runlog_otel.core.runlogs.json_runlog import RUNNABLE, pipeline_from_config
from runlog_otel.hosts.kit.stores import DocumentPlugin, MemoryPlugin, SqlPlugin, host_errors
from runlog_otel.hosts.runnable.adapter import HostAdapter


class DocumentRunLogStore(DocumentPlugin, BaseRunLogStore):  # type: ignore[misc]
    """Every method of runnable's base class over a store of documents, none of them a rewrite of the run."""

    _source = RUNNABLE
    _printer = HostAdapter.printer

    def create_run_log(  # noqa: PLR0917 - the host's own signature
        self,
        run_id: str,
        dag_hash: str = "",
        use_cached: bool = False,
        tag: str = "",
        original_run_id: str = "",
        status: str = defaults.CREATED,
    ) -> RunLog:
        """Add a run log; raises RunLogExistsError."""
        run_log = RunLog(run_id=run_id, dag_hash=dag_hash, tag=tag, status=status)
        with host_errors(exceptions):
            self.documents.create(run_log.model_dump())
        return run_log

    def get_run_log_by_id(self, run_id: str, full: bool = False) -> RunLog:
        """The run log; without its steps unless `full`. Raises RunLogNotFoundError."""
        with host_errors(exceptions):
            return RunLog(**(self.documents.document(run_id) if full else self.documents.header(run_id)))

    def put_run_log(self, run_log: RunLog) -> None:
        """Add or merge a run log; steps that it does not hold stay."""
        with host_errors(exceptions):
            self.documents.put(run_log.model_dump(), pipeline_from_config(run_log.run_config))

    def update_run_log_status(self, run_id: str, status: str) -> None:
        """Set the status of the run."""
        with host_errors(exceptions):
            self.documents.set_status(run_id, status)

    def get_parameters(self, run_id: str, internal_branch_name: str = "") -> dict[str, Parameter]:
        """The parameters of the run, or of a branch."""
        with host_errors(exceptions):
            parameters = self.documents.parameters(run_id, internal_branch_name or "")
        return dict(BranchLog(internal_name=internal_branch_name or "", parameters=parameters).parameters)

    def set_parameters(self, run_id: str, parameters: dict[str, Parameter], internal_branch_name: str = "") -> None:
        """Merge parameters into those of the run, or of a branch."""
        dumped = {name: parameter.model_dump() for name, parameter in parameters.items()}
        with host_errors(exceptions):
            self.documents.set_parameters(run_id, dumped, internal_branch_name or "")

    def get_run_config(self, run_id: str) -> dict[str, Any]:
        """The config that the run was started with."""
        with host_errors(exceptions):
            return self.documents.config(run_id)

    def set_run_config(self, run_id: str, run_config: dict[str, Any]) -> None:
        """Merge into the run config, by its top-level keys."""
        with host_errors(exceptions):
            self.documents.set_config(run_id, run_config, pipeline_from_config(run_config))

    def get_step_log(self, internal_name: str, run_id: str) -> StepLog:
        """The step, without its branches; raises StepLogNotFoundError."""
        with host_errors(exceptions):
            return StepLog(**self.documents.step(internal_name, run_id))

    def add_step_log(self, step_log: StepLog, run_id: str) -> None:
        """Add or replace the step; branches that it does not hold stay. Raises BranchLogNotFoundError."""
        with host_errors(exceptions):
            self.documents.put_step(step_log.model_dump(), run_id)

    def get_branch_log(self, internal_branch_name: str, run_id: str) -> BranchLog | RunLog:
        """The branch with its parameters and without its steps; the run log when the name is empty."""
        if not internal_branch_name:
            return self.get_run_log_by_id(run_id)
        with host_errors(exceptions):
            return BranchLog(**self.documents.branch(internal_branch_name, run_id))

    def add_branch_log(self, branch_log: BranchLog | RunLog, run_id: str) -> None:
        """Add or merge the branch, or the run log; steps that it does not hold stay."""
        if not isinstance(branch_log, BranchLog):
            self.put_run_log(branch_log)
            return
        with host_errors(exceptions):
            self.documents.put_branch(branch_log.model_dump(), run_id)

    def get_job_log(self, run_id: str) -> JobLog:
        """The job; raises JobLogNotFoundError."""
        with host_errors(exceptions):
            return JobLog(**self.documents.job(run_id))

    def add_job_log(self, run_id: str, job_log: JobLog) -> None:
        """Add or replace the job; the run takes its status."""
        with host_errors(exceptions):
            self.documents.put_job(job_log.model_dump(), run_id)


class SqlRunLogStore(SqlPlugin, DocumentRunLogStore):
    """`type: sql`, and `db`. See docs/stores.md."""

    _secret = staticmethod(HostAdapter.secret)


class MemoryRunLogStore(MemoryPlugin, DocumentRunLogStore):
    """`type: memory`. See docs/stores.md."""
