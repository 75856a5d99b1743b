"""How runs are read from a store of runnable: for the observer, and for the command line."""

import os
from datetime import datetime
from typing import Any

from runnable import defaults
from runnable.datastore import BaseRunLogStore, BranchLog, RunLog, StepLog

from runlog_otel.hosts.runnable import log
from runlog_otel.model import Run
from runlog_otel.settings import Settings


class RunnableRuns:
    """The observer's view of a store. Can be pickled as far as the store can."""

    def __init__(self, store: BaseRunLogStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def header(self, run_id: str) -> Run:
        """See `RunSource.header`."""
        run_log = self._store.get_run_log_by_id(run_id, full=False)
        return mapped(run_log.model_copy(update={"steps": {}, "parameters": {}}), self._settings)

    def run(self, run_id: str) -> Run:
        """See `RunSource.run`."""
        return mapped(whole_run_log(self._store, run_id), self._settings)

    def retry_indicator(self, run_id: str) -> str | None:
        """See `RunSource.retry_indicator`; the host's `RunnableContext.retry_indicator` and `is_retry`."""
        if os.environ.get(defaults.RETRY_RUN_ID) != run_id:
            return None
        return os.environ.get(defaults.RETRY_INDICATOR, "")

    def mark_retry(self, run: Run) -> Run:
        """See `RunSource.mark_retry`: the host merges a run config."""
        run_config = self._store.get_run_config(run.run_id)
        marked = log.retried_config(run_config, datetime.now().astimezone())
        if marked:
            self._store.set_run_config(run.run_id, marked)
        return self.run(run.run_id)


def mapped(run_log: RunLog, settings: Settings) -> Run:
    """A run log as the settings say: its pipeline's name, its time zone."""
    return log.run_from_log(run_log.model_dump(), settings.pipeline, settings.zone)


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
