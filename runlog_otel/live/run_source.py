"""Where the observer reads run logs: the port that an adapter of a host implements without importing the observer."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

from runlog_otel.core.model import Ending, ExecutionLog, Run

if TYPE_CHECKING:
    from runlog_otel.core.log_lines import Output


class RunSource(Protocol):
    """Reads run logs; the adapter of each host implements it over the wrapped store."""

    @abstractmethod
    def header(self, run_id: str) -> Run:
        """The run with only the terminal steps of its root graph, which suffice to count retries: a cheap read."""

    @abstractmethod
    def run(self, run_id: str) -> Run:
        """The whole run."""

    @abstractmethod
    def retry_indicator(self, run_id: str) -> str | None:
        """The retry indicator that this process writes into attempts; None when it does not retry the run."""

    @abstractmethod
    def note_changes(self, run: Run, execution: int) -> Run | None:
        """Note in a failed run's header what differs from the last successful run, and return the changed run.

        None: the store cannot tell, there is no successful run, or the note is already there.
        """

    @abstractmethod
    def masked(self, text: str) -> str:
        """The text with secrets masked: what settings and patterns describe, and what this process knows."""

    @abstractmethod
    def output(self, log: ExecutionLog) -> "Output | None":
        """The output of an attempt of the current run, from where the host keeps it; None if that is not there."""

    @abstractmethod
    def mark_retry(self, run: Run, execution: int) -> Run:
        """Note in the run's header that an execution begins, as the rest of the log does not say so; return the run."""

    @abstractmethod
    def note_ending(self, run: Run, ending: Ending) -> None:
        """Note in the run's header how an execution ended that reached no verdict, if the run has a header."""
