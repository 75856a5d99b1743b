"""The port through which the plugins of the hosts read and write run logs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from runlog_otel.stores.entries import Document


class DocumentStore(ABC):
    """Run logs as documents: what the plugins of both hosts need from a store.

    Documents are dicts as the hosts' models dump them. Every method raises RunNotFoundError if the run does not exist
    (all but `create` and `put`), StoreError if the database fails, and, reading, RunLogFormatError for damaged rows.
    Each write is one transaction; later writes win; no method rewrites the whole run but `put`.
    """

    @abstractmethod
    def create(self, header: Mapping[str, Any]) -> None:
        """Add a run; raises RunExistsError. One that is repeated after a lost answer adds one run."""

    @abstractmethod
    def header(self, run_id: str) -> Document:
        """The run without its steps: its own fields, parameters, config and job."""

    @abstractmethod
    def document(self, run_id: str) -> Document:
        """The whole run; steps and branches in the order in which they were first written."""

    @abstractmethod
    def put(self, document: Mapping[str, Any], pipeline: str = "") -> None:
        """Add or merge a whole run; parts that the document does not hold stay."""

    @abstractmethod
    def set_status(self, run_id: str, status: str) -> None:
        """Set the status of the run."""

    @abstractmethod
    def step(self, key: str, run_id: str) -> Document:
        """A step without its branches, by its internal name; raises StepNotFoundError."""

    @abstractmethod
    def put_step(self, step: Mapping[str, Any], run_id: str) -> None:
        """Add or replace a step; branches that it does not hold stay. Raises BranchNotFoundError."""

    @abstractmethod
    def branch(self, key: str, run_id: str) -> Document:
        """A branch with its parameters, without its steps; raises BranchNotFoundError."""

    @abstractmethod
    def put_branch(self, branch: Mapping[str, Any], run_id: str) -> None:
        """Add or merge a branch; steps that it does not hold stay. Raises StepNotFoundError."""

    @abstractmethod
    def parameters(self, run_id: str, branch: str = "") -> Document:
        """The parameters of a branch, or of the run; raises BranchNotFoundError."""

    @abstractmethod
    def set_parameters(self, run_id: str, parameters: Mapping[str, Any], branch: str = "") -> None:
        """Merge parameters into those of a branch, or of the run; raises BranchNotFoundError. None: nothing is done."""

    @abstractmethod
    def config(self, run_id: str) -> Document:
        """The run config."""

    @abstractmethod
    def set_config(self, run_id: str, config: Mapping[str, Any], pipeline: str = "") -> None:
        """Merge into the run config, by its top-level keys; `pipeline` is the name that lists show."""

    @abstractmethod
    def job(self, run_id: str) -> Document:
        """The job of the run; raises JobNotFoundError."""

    @abstractmethod
    def put_job(self, job: Mapping[str, Any], run_id: str) -> None:
        """Add or replace the job; the run takes its status."""
