"""The runs that a process takes part in: which execution of each it records, and whether that has ended."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from runlog_otel.core.executions import timeline_of
from runlog_otel.core.model import Header, Run
from runlog_otel.core.trace import Execution
from runlog_otel.mapping import execution_of_run
from runlog_otel.settings import Settings


class RunSource(Protocol):
    """Where the observer reads a run log from; a host's adapter over the store that is wrapped."""

    def header(self, run_id: str) -> Run:
        """The run, and of its steps only the root graph's terminal ones, which retries are counted by: a cheap read."""

    def run(self, run_id: str) -> Run:
        """The whole run."""

    def retry_indicator(self, run_id: str) -> str | None:
        """What the attempts of this process carry when it retries the run; None when it does not."""

    def note_changes(self, run: Run, execution: int) -> Run | None:
        """Note in the header of a run that failed what is not as in the last one that succeeded; the run with it.

        None: the store cannot tell, knows no such run, or has the note already.
        """

    def masked(self, text: str) -> str:
        """Text for people without what is secret: what settings and patterns name, and what this process knows."""

    def mark_retry(self, run: Run, execution: int) -> Run:
        """Note in the run's header that an execution begins, which the rest of the log cannot tell; the run with it."""


@dataclass(frozen=True, slots=True)
class RunState:
    """What a process knows of a run that it records attempts of; travels into pool workers."""

    execution: Execution
    header: Header
    was_final: bool = False
    """Whether the run had ended already when this process first saw it: a sibling pod failed."""
    orchestrator_pid: int | None = None
    """The process that started this execution; None in a process that runs one step of it."""
    is_complete: bool = False


class RunRegistry:
    """`RunState` by run id. Travels into pool workers."""

    def __init__(self, settings: Settings, source: RunSource) -> None:
        self._settings = settings
        self._source = source
        self._states: dict[str, RunState] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._states

    def add(self, run: Run, number: int, *, is_orchestrator: bool = False, was_final: bool = False) -> RunState:
        """This process records an execution of a run.

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
        """The state of a run; a process of one step reads the run's header, once."""
        if run_id in self._states:
            return self._states[run_id]
        indicator = self._source.retry_indicator(run_id)
        run = self._source.header(run_id)
        number = 1 if indicator is None else timeline_of(run).next_execution(indicator)
        return self.add(run, number, was_final=indicator is None and run.status.is_final)

    def execution_number(self, run_id: str) -> int:
        """The number of the execution that this process takes part in; only a retry needs a read for it."""
        if run_id not in self._states and self._source.retry_indicator(run_id) is None:
            return 1
        return self.state(run_id).execution.number

    def set_complete(self, run_id: str) -> None:
        """The execution has ended, and its containers are on their way."""
        self._states[run_id] = replace(self._states[run_id], is_complete=True)

    def unfinished(self) -> Iterator[tuple[str, RunState]]:
        """The runs that this process started and that have not ended."""
        for run_id, state in self._states.items():
            if not state.is_complete and state.orchestrator_pid == os.getpid():
                yield run_id, state
