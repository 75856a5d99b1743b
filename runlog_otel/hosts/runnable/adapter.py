"""Reads runs from a store of runnable and writes them to it, for the observer and the command line."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from runnable import context, defaults, exceptions
from runnable.datastore import BaseRunLogStore, BranchLog, RunLog, StepLog
from typing_extensions import override

from runlog_otel.core.model import TERMINAL_KINDS, ExecutionLog, Run
from runlog_otel.core.runlogs.header import retried_config
from runlog_otel.core.runlogs.json_runlog import RUNNABLE, Document
from runlog_otel.hosts.kit import adapter
from runlog_otel.hosts.runnable import private

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output


class HostAdapter(adapter.HostAdapter):
    """The runs in a store of runnable."""

    name = RUNNABLE
    where = "run-log-store.config"
    base: ClassVar[type] = BaseRunLogStore
    not_found: ClassVar[type[Exception]] = exceptions.RunLogNotFoundError
    no_secret: ClassVar[type[Exception]] = exceptions.SecretNotFoundError
    printer = private.STORE_FACTORY
    prefix = private.VARIABLE_PREFIX

    @staticmethod
    @override
    def config_file() -> str:
        """The file that the host's `ServiceConfigurations` reads."""
        return os.environ.get(defaults.RUNNABLE_CONFIGURATION_FILE) or defaults.USER_CONFIG_FILE

    @staticmethod
    @override
    def choose(config_file: str) -> None:
        os.environ[defaults.RUNNABLE_CONFIGURATION_FILE] = config_file

    @staticmethod
    @override
    def service(config_file: str) -> Any:
        """Apply the host's variables too."""
        file = config_file if config_file != defaults.USER_CONFIG_FILE else ""
        return context.ServiceConfigurations(configuration_file=file).services["run_log_store"]

    @staticmethod
    @override
    def outside_a_run(run_id: str) -> AbstractContextManager[None]:
        """A run context, which the minio stores read: see `run_context`."""
        return run_context(run_id)

    @staticmethod
    @override
    def is_orchestrator() -> bool:
        return private.is_orchestrator()

    @staticmethod
    @override
    def secrets() -> Any:
        secrets = getattr(context.get_run_context(), "secrets", None)
        if secrets is None:
            services = context.ServiceConfigurations(configuration_file="").services  # None would skip the look for it
            secrets = context.get_service_by_name("secrets", services["secrets"], None)
        return secrets

    @staticmethod
    @override
    def graph() -> Any:
        current = context.get_run_context()
        definition = next((graph for key in ("dag", "job") if (graph := getattr(current, key, None))), None)
        return definition.model_dump() if definition is not None else None

    @staticmethod
    @override
    def pipeline() -> str:
        return private.pipeline_name()

    @staticmethod
    @override
    def initial_log(run_id: str, run_config: Mapping[str, Any]) -> Document:
        return {"run_id": run_id, "status": defaults.PROCESSING, "steps": {}, "run_config": run_config}

    @override
    def document(self, run_id: str) -> dict[str, Any]:
        """Include the branches that a chunked store does not attach: see `whole_run_log`."""
        self.refuse_odd_files(run_id)
        document: dict[str, Any] = whole_run_log(self.store, run_id).model_dump()
        return document

    @override
    def put(self, document: Mapping[str, Any]) -> None:
        """Write the branches of a chunked store to files of their own, where a retry reads them."""
        run_log = RunLog(**document)
        self.refuse_odd_files(run_log.run_id)
        branches = list(_taken_branches(run_log)) if private.is_chunked(self.store) else []
        self.store.put_run_log(run_log)
        for branch in branches:
            self.store.add_branch_log(branch, run_log.run_id)

    @override
    def as_kept(self, document: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = RunLog(**document).model_dump()
        return kept

    @override
    def output(self, log: ExecutionLog) -> "Output | None":
        from runlog_otel.hosts.runnable.execution_logs import output_in_catalog  # only where logs are exported

        catalog = getattr(context.get_run_context(), "catalog", None)
        if catalog is None:
            services = context.ServiceConfigurations(configuration_file="").services  # as for secrets
            catalog = context.get_service_by_name("catalog", services["catalog"], None)
        return output_in_catalog(catalog, log.name)

    @override
    def header(self, run_id: str) -> Run:
        run_log = self.store.get_run_log_by_id(run_id, full=False)
        steps = [step for step in run_log.steps.values() if step.step_type in TERMINAL_KINDS]
        if not run_log.steps and self.retry_indicator(run_id) is not None:
            steps = list(self._verdicts(run_log))
        header = run_log.model_dump(exclude={"steps", "job", "parameters"})
        return self.mapped(header | {"steps": {step.internal_name: step.model_dump() for step in steps}})

    def _verdicts(self, run_log: RunLog) -> Iterator[StepLog]:
        """The terminal steps of the root graph, for a store whose header has no steps."""
        nodes = (run_log.run_config.get("dag") or {}).get("nodes") or {}
        for name, node in nodes.items():
            if node.get("node_type") in TERMINAL_KINDS:
                with contextlib.suppress(exceptions.StepLogNotFoundError):
                    yield self.store.get_step_log(name, run_log.run_id)

    @override
    def retry_indicator(self, run_id: str) -> str | None:
        """Read the variables that `RunnableContext.retry_indicator` and `is_retry` read."""
        if os.environ.get(defaults.RETRY_RUN_ID) != run_id:
            return None
        return os.environ.get(defaults.RETRY_INDICATOR, "")

    @override
    def mark_retry(self, run: Run, execution: int) -> Run:
        """Write only the new key, as the host merges run configs."""
        run_config = self.store.get_run_config(run.run_id)
        marked = retried_config(run_config, execution, datetime.now().astimezone())
        if marked:
            self.store.set_run_config(run.run_id, marked)
        return self.run(run.run_id)


@contextlib.contextmanager
def run_context(run_id: str) -> Iterator[None]:
    """A run context outside of a run: the minio stores read the folder in their bucket from it.

    With a context, an object parameter's description says where the object is by `object_serialisation`.
    """
    before = context.get_run_context()
    context.set_run_context(SimpleNamespace(run_id=run_id, object_serialisation=True))
    try:
        yield
    finally:
        context.set_run_context(before)


def whole_run_log(store: BaseRunLogStore, run_id: str) -> RunLog:
    """The whole log, with the branches that a chunked store has but does not attach to a step.

    The store expects a branch's step before the last dot (`ChunkedRunLogStore._prepare_full_run_log`), which is wrong
    for a value with a dot (`mp.1.5`). The attempts in an unattached branch would have no parent.

    Raises:
        Exception: whatever the store raises.
    """
    run_log = store.get_run_log_by_id(run_id, full=True)
    if not private.is_chunked(store):
        return run_log
    steps: dict[str, StepLog] = {}
    attached = _collect(run_log, steps)
    files = private.branch_files(store, run_id)
    for lost in sorted((path for path in files if path not in attached), key=len):
        branch = private.read_branch(store, run_id, files[lost])
        path = branch.internal_name
        owner = max((step for step in steps if path.startswith(f"{step}.")), key=len, default=None)
        if owner is not None:
            steps[owner].branches[path] = branch
            _collect(branch, steps)
    return run_log


def _collect(graph: Any, steps: dict[str, StepLog]) -> set[str]:
    """Collect the steps of a graph at every depth; return the paths of its branches."""
    branches: set[str] = set()
    for path, step in graph.steps.items():
        steps[path] = step
        for name, branch in step.branches.items():
            branches |= {name} | _collect(branch, steps)
    return branches


def _taken_branches(graph: RunLog | BranchLog) -> Iterator[BranchLog]:
    for step in graph.steps.values():
        taken, step.branches = step.branches, {}
        for branch in taken.values():
            yield from _taken_branches(branch)
            yield branch
