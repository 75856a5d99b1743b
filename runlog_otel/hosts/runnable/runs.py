"""How runs are read from a store of runnable: for the observer, and for the command line."""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from runnable import context, defaults, exceptions
from runnable.datastore import BaseRunLogStore, BranchLog, RunLog, StepLog

from runlog_otel.hosts.runnable import log
from runlog_otel.model import Run
from runlog_otel.settings import Settings

_VERDICTS = ("success", "fail")


class RunnableRuns:
    """The observer's view of a store. Can be pickled as far as the store can."""

    def __init__(self, store: BaseRunLogStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def header(self, run_id: str) -> Run:
        """See `RunSource.header`."""
        run_log = self._store.get_run_log_by_id(run_id, full=False)
        steps = [step for step in run_log.steps.values() if step.step_type in _VERDICTS]
        if not run_log.steps and self.retry_indicator(run_id) is not None:
            steps = list(self._verdicts(run_log))
        header = run_log.model_dump(exclude={"steps", "job", "parameters"})
        return _mapped(header | {"steps": {step.internal_name: step.model_dump() for step in steps}}, self._settings)

    def _verdicts(self, run_log: RunLog) -> Iterator[StepLog]:
        """The terminal steps of the root graph, from a store whose header comes without steps."""
        nodes = (run_log.run_config.get("dag") or {}).get("nodes") or {}
        for name, node in nodes.items():
            if node.get("node_type") in _VERDICTS:
                with contextlib.suppress(exceptions.StepLogNotFoundError):
                    yield self._store.get_step_log(name, run_log.run_id)

    def run(self, run_id: str) -> Run:
        """See `RunSource.run`."""
        return mapped(whole_run_log(self._store, run_id), self._settings)

    def retry_indicator(self, run_id: str) -> str | None:
        """See `RunSource.retry_indicator`; the host's `RunnableContext.retry_indicator` and `is_retry`."""
        if os.environ.get(defaults.RETRY_RUN_ID) != run_id:
            return None
        return os.environ.get(defaults.RETRY_INDICATOR, "")

    def mark_retry(self, run: Run, execution: int) -> Run:
        """See `RunSource.mark_retry`: the host merges a run config."""
        run_config = self._store.get_run_config(run.run_id)
        marked = log.retried_config(run_config, execution, datetime.now().astimezone())
        if marked:
            self._store.set_run_config(run.run_id, marked)
        return self.run(run.run_id)


@contextlib.contextmanager
def run_context(run_id: str) -> Iterator[None]:
    """Stand in for a run, outside of one: the minio stores take the folder in their bucket from the run context.

    With a context, an object parameter's description says where the object is by `object_serialisation`.
    """
    context.set_run_context(SimpleNamespace(run_id=run_id, object_serialisation=True))
    try:
        yield
    finally:
        context.set_run_context(None)


def mapped(run_log: RunLog, settings: Settings) -> Run:
    """A run log as the settings say: its pipeline's name, its time zone."""
    return _mapped(run_log.model_dump(), settings)


def _mapped(document: log.Document, settings: Settings) -> Run:
    return log.run_from_log(document, settings.pipeline, settings.zone)


def whole_run_log(store: BaseRunLogStore, run_id: str) -> RunLog:
    """The whole log, with those branches too that a chunked store has and does not find.

    It looks for a branch's step before the last dot (`ChunkedRunLogStore._prepare_full_run_log`), where a value with a
    dot in it (`mp.1.5`) has none. A branch without its step would leave its attempts without a parent.

    Raises:
        Exception: whatever the store raises.
    """
    run_log = store.get_run_log_by_id(run_id, full=True)
    list_branches = getattr(store, "_list_branch_logs", None)
    if list_branches is None:
        return run_log
    steps: dict[str, StepLog] = {}
    found = _collect(run_log, steps)
    lost = [name for name in list_branches(run_id) if name.removeprefix("BranchLog-") not in found]
    for name in sorted(lost, key=len):
        branch = BranchLog.model_validate(store._retrieve(run_id=run_id, name=name))
        path = branch.internal_name
        owner = max((step for step in steps if path.startswith(f"{step}.")), key=len, default=None)
        if owner is not None:
            steps[owner].branches[path] = branch
            _collect(branch, steps)
    return run_log


def _collect(graph: Any, steps: dict[str, StepLog]) -> set[str]:
    """Note the steps of a graph at every depth; return the paths of its branches."""
    found: set[str] = set()
    for path, step in graph.steps.items():
        steps[path] = step
        for name, branch in step.branches.items():
            found |= {name} | _collect(branch, steps)
    return found
