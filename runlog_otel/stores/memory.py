"""A run log store in the memory of this process: bounded, for tests and for looking at once.

It is the SQL store on a SQLite database that has no file, so that nothing behaves differently.
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from runlog_otel.stores.entries import text_from_value
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.retention import keep_newest
from runlog_otel.stores.sql.store import SqlStore

MAX_RUNS = 1000
MAX_VALUE_CHARACTERS = 10_240
"""Both as Constellation's in-memory execution store has them."""

_PARAMETERS = ("parameters", "input_parameters", "output_parameters", "user_defined_metrics")


class MemoryStore(SqlStore):
    """At most `max_runs` runs, the oldest dropped first; parameter values longer than `max_value_characters` cut.

    A value is measured as compact JSON; a longer one becomes the text `<truncated: N bytes>`.
    """

    def __init__(
        self, *, max_runs: int = MAX_RUNS, max_value_characters: int = MAX_VALUE_CHARACTERS, source: str = ""
    ) -> None:
        super().__init__(Database("sqlite:///:memory:"), source=source)
        self.max_runs = max_runs
        self.max_value_characters = max_value_characters

    @override
    def create(self, header: Mapping[str, Any]) -> None:
        """The oldest runs make room."""
        super().create(header)
        keep_newest(self.database, self.max_runs)

    @override
    def put(self, document: Mapping[str, Any], pipeline: str = "") -> None:
        """The oldest runs make room."""
        super().put(self._shortened(document), pipeline)
        keep_newest(self.database, self.max_runs)

    @override
    def put_step(self, step: Mapping[str, Any], run_id: str) -> None:
        super().put_step(self._shortened(step), run_id)

    @override
    def put_branch(self, branch: Mapping[str, Any], run_id: str) -> None:
        super().put_branch(self._shortened(branch), run_id)

    @override
    def put_job(self, job: Mapping[str, Any], run_id: str) -> None:
        super().put_job(self._shortened(job), run_id)

    @override
    def set_parameters(self, run_id: str, parameters: Mapping[str, Any], branch: str = "") -> None:
        super().set_parameters(run_id, {name: self._parameter(value) for name, value in parameters.items()}, branch)

    def _shortened(self, document: Any) -> Any:
        # Parameters stand in runs, branches and attempts, at any depth; nothing else of a log grows with the data.
        if isinstance(document, Mapping):
            return {
                name: {key: self._parameter(value) for key, value in part.items()}
                if name in _PARAMETERS and isinstance(part, Mapping)
                else self._shortened(part)
                for name, part in document.items()
            }
        return [self._shortened(part) for part in document] if isinstance(document, list) else document

    def _parameter(self, parameter: Any) -> Any:
        if isinstance(parameter, Mapping) and "value" in parameter:  # runnable: a kind, a value, a description
            return {**parameter, "value": self._value(parameter["value"])}
        return self._value(parameter)

    def _value(self, value: Any) -> Any:
        size = len(text_from_value(value))
        return f"<truncated: {size} bytes>" if size > self.max_value_characters else value
