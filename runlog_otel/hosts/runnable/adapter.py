"""How runs are read from a store of runnable, and written to it: for the observer, and for the command line."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import SimpleNamespace
from typing import Any, ClassVar

from runnable import context, defaults, exceptions
from runnable.datastore import BaseRunLogStore, BranchLog, RunLog, StepLog
from typing_extensions import override

from runlog_otel.core.model import TERMINAL_KINDS, Run
from runlog_otel.core.runlogs.json_runlog import RUNNABLE, Document, retried_config
from runlog_otel.hosts.kit import adapter
from runlog_otel.hosts.runnable import private


class HostAdapter(adapter.HostAdapter):
    """The runs in a store of runnable."""

    name = RUNNABLE
    where = "run-log-store.config"
    base: ClassVar[type] = BaseRunLogStore
    not_found: ClassVar[type[Exception]] = exceptions.RunLogNotFoundError
    no_secret: ClassVar[type[Exception]] = exceptions.SecretNotFoundError
    printer = private.STORE_FACTORY

    @staticmethod
    @override
    def config_file() -> str:
        """The one that the host's `ServiceConfigurations` reads."""
        return os.environ.get(defaults.RUNNABLE_CONFIGURATION_FILE) or defaults.USER_CONFIG_FILE

    @staticmethod
    @override
    def choose(config_file: str) -> None:
        os.environ[defaults.RUNNABLE_CONFIGURATION_FILE] = config_file

    @staticmethod
    @override
    def service(config_file: str) -> Any:
        """The host's variables are applied."""
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
        found = next((graph for key in ("dag", "job") if (graph := getattr(current, key, None))), None)
        return found.model_dump() if found is not None else None

    @staticmethod
    @override
    def initial_log(run_id: str, run_config: Mapping[str, Any]) -> Document:
        return {"run_id": run_id, "status": defaults.PROCESSING, "steps": {}, "run_config": run_config}

    @override
    def document(self, run_id: str) -> dict[str, Any]:
        """With the branches that a chunked store does not find: see `whole_run_log`."""
        self.refuse_odd_files(run_id)
        document: dict[str, Any] = whole_run_log(self.store, run_id).model_dump()
        return document

    @override
    def put(self, document: Mapping[str, Any]) -> None:
        """A retry looks for the branches of a chunked store in files of their own."""
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
    def header(self, run_id: str) -> Run:
        run_log = self.store.get_run_log_by_id(run_id, full=False)
        steps = [step for step in run_log.steps.values() if step.step_type in TERMINAL_KINDS]
        if not run_log.steps and self.retry_indicator(run_id) is not None:
            steps = list(self._verdicts(run_log))
        header = run_log.model_dump(exclude={"steps", "job", "parameters"})
        return self.mapped(header | {"steps": {step.internal_name: step.model_dump() for step in steps}})

    def _verdicts(self, run_log: RunLog) -> Iterator[StepLog]:
        """The terminal steps of the root graph, from a store whose header comes without steps."""
        nodes = (run_log.run_config.get("dag") or {}).get("nodes") or {}
        for name, node in nodes.items():
            if node.get("node_type") in TERMINAL_KINDS:
                with contextlib.suppress(exceptions.StepLogNotFoundError):
                    yield self.store.get_step_log(name, run_log.run_id)

    @override
    def retry_indicator(self, run_id: str) -> str | None:
        """As `RunnableContext.retry_indicator` and `is_retry` read it."""
        if os.environ.get(defaults.RETRY_RUN_ID) != run_id:
            return None
        return os.environ.get(defaults.RETRY_INDICATOR, "")

    @override
    def mark_retry(self, run: Run, execution: int) -> Run:
        """Only the new key is written: the host merges a run config."""
        run_config = self.store.get_run_config(run.run_id)
        marked = retried_config(run_config, execution, datetime.now().astimezone())
        if marked:
            self.store.set_run_config(run.run_id, marked)
        return self.run(run.run_id)


@contextlib.contextmanager
def run_context(run_id: str) -> Iterator[None]:
    """Stand in for a run, outside of one: the minio stores take the folder in their bucket from the run context.

    With a context, an object parameter's description says where the object is by `object_serialisation`.
    """
    before = context.get_run_context()
    context.set_run_context(SimpleNamespace(run_id=run_id, object_serialisation=True))
    try:
        yield
    finally:
        context.set_run_context(before)


def whole_run_log(store: BaseRunLogStore, run_id: str) -> RunLog:
    """The whole log, with those branches too that a chunked store has and does not find.

    It looks for a branch's step before the last dot (`ChunkedRunLogStore._prepare_full_run_log`), where a value with a
    dot in it (`mp.1.5`) has none. A branch without its step would leave its attempts without a parent.

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
    """Note the steps of a graph at every depth; return the paths of its branches."""
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
