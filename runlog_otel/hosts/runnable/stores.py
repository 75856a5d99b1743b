"""Our stores (`type: sql`, also `db`, and `type: memory`) as stores of runnable, whose models they convert."""

from typing import Any

from runnable import datastore, exceptions
from runnable.datastore import BaseRunLogStore, BranchLog, JobLog, Parameter

from runlog_otel.core.runlogs.json_runlog import RUNNABLE
from runlog_otel.hosts.kit.stores import DocumentPlugin, MemoryPlugin, SqlPlugin, host_errors
from runlog_otel.hosts.runnable.adapter import HostAdapter


class DocumentRunLogStore(DocumentPlugin, BaseRunLogStore):  # type: ignore[misc]
    """A store of documents with what only runnable has: models of parameters, and jobs."""

    _source = RUNNABLE
    _printer = HostAdapter.printer
    _models = datastore
    _exceptions = exceptions

    def get_parameters(self, run_id: str, internal_branch_name: str = "", **_: Any) -> dict[str, Parameter]:
        """The parameters of the run, or of a branch."""
        parameters = super().get_parameters(run_id, internal_branch_name)
        return dict(BranchLog(internal_name=internal_branch_name or "", parameters=parameters).parameters)

    def set_parameters(
        self, run_id: str, parameters: dict[str, Parameter], internal_branch_name: str = "", **_: Any
    ) -> None:
        """Merge parameters into those of the run, or of a branch."""
        dumped = {name: parameter.model_dump() for name, parameter in parameters.items()}
        super().set_parameters(run_id, dumped, internal_branch_name)

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
