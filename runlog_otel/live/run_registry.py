"""The runs that a process works on: which execution of each it records, and whether that has ended."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from runlog_otel.core.executions import timeline_of
from runlog_otel.core.model import Header, Run
from runlog_otel.core.trace import Execution
from runlog_otel.live.run_source import RunSource
from runlog_otel.mapping import execution_of_run
from runlog_otel.settings import Settings


class RunState(NamedTuple):
    """What a process knows about a run whose attempts it records; pickled for pool workers."""

    execution: Execution
    header: Header
    was_final: bool = False
    """Whether the run had ended already when this process first saw it: a sibling pod failed."""
    orchestrator_pid: int | None = None
    """The process that started this execution; None in a process that runs one of its steps."""
    is_complete: bool = False


class RunRegistry:
    """`RunState` by run id. Pickled for pool workers."""

    def __init__(self, settings: Settings, source: RunSource) -> None:
        self._settings = settings
        self._source = source
        self._states: dict[str, RunState] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._states

    def add(self, run: Run, number: int, *, is_orchestrator: bool = False, was_final: bool = False) -> RunState:
        """Add a run of which this process records an execution.

        Args:
            run: the run with its header.
            number: of the execution.
            is_orchestrator: whether this process started the execution.
            was_final: see `RunState`.
        """
        execution = execution_of_run(run, self._settings, number)
        state = RunState(execution, run.header, was_final, os.getpid() if is_orchestrator else None)
        self._states[run.run_id] = state
        return state

    def state(self, run_id: str) -> RunState:
        """The state of a run; a process that runs one step reads the run's header once."""
        if run_id in self._states:
            return self._states[run_id]
        indicator = self._source.retry_indicator(run_id)
        run = self._source.header(run_id)
        number = 1 if indicator is None else timeline_of(run).next_execution(indicator)
        return self.add(run, number, was_final=indicator is None and run.status.is_final)

    def ids(self, run_id: str) -> RunState:
        """As much of the state as the ids of spans need.

        A process of one step reads the header for it in a retry, and if the run may have joined its caller's trace.
        """
        is_first = run_id not in self._states and self._source.retry_indicator(run_id) is None
        if is_first and self._settings.parent == "link":
            return RunState(Execution(run_id, "", 1, self._settings.namespace), Header())
        return self.state(run_id)

    def set_complete(self, run_id: str) -> None:
        """The execution has ended, and its containers are being exported."""
        self._states[run_id] = self._states[run_id]._replace(is_complete=True)

    def unfinished(self) -> Iterator[tuple[str, RunState]]:
        """The runs that this process started and that have not ended."""
        for run_id, state in self._states.items():
            if not state.is_complete and state.orchestrator_pid == os.getpid():
                yield run_id, state
