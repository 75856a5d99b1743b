"""Every exception of runlog-otel, each with its data and one line that says what to do.

RunlogOtelError
  ConfigError               a setting or an option is wrong (also a ValueError)
  MissingExtraError         a library is not installed (also an ImportError)
  DeliveryError             a backend did not acknowledge an export
    TooLargeError           it refused the size of a request
  BackendError              a backend that is asked for what it has did not answer as it should
  RunNotFoundError          there is no such run (also a LookupError)
    RunOutsideError         its id is a path out of the folder
  PartNotFoundError         the run has no such part (also a LookupError)
    StepNotFoundError
    BranchNotFoundError
    JobNotFoundError
  RunExistsError            a run of that id exists already
  RunLogFormatError         a document is not a run log (also a ValueError)
  SourceError               a source of runs does not answer as it should
  UnsupportedStoreError     the runs of a host's store cannot be listed
  StoreError                a database operation failed
    StoreUnavailableError   it was locked or unreachable until the deadline
    SchemaVersionError      its tables are missing, older or newer than this code
  StateInUseError           another `serve` holds the state
  OutputError               standard output cannot be written
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runlog_otel.printable import printable


class RunlogOtelError(Exception):
    """Any error of runlog-otel; its text is one printable line, even if it quotes other text."""

    def __str__(self) -> str:
        return printable(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        """Its data, not the arguments that it was made of, is what another process gets."""
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[RunlogOtelError], args: tuple[Any, ...], data: Mapping[str, Any]) -> RunlogOtelError:
    error = kind.__new__(kind, *args)
    vars(error).update(data)
    return error


class ConfigError(RunlogOtelError, ValueError):
    """A setting is wrong: which one, where it stands, what was expected."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}")


class MissingExtraError(RunlogOtelError, ImportError):
    """A setting asks for a library that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs a library that is not installed: pip install 'runlog-otel[{extra}]'")


class DeliveryError(RunlogOtelError):
    """A backend did not acknowledge an export.

    `is_transient` says that the same may succeed later, `retry_after_seconds` is the pause that the backend asked for.
    """

    def __init__(
        self, endpoint: str, reason: str, *, is_transient: bool = False, retry_after_seconds: float = 0.0
    ) -> None:
        self.endpoint = endpoint
        self.reason = reason
        self.is_transient = is_transient
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"export to {endpoint} failed: {reason}")


class TooLargeError(DeliveryError):
    """A backend refused a request, or a single span, for its size, which is `size_bytes`."""

    def __init__(self, endpoint: str, reason: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__(endpoint, reason)


class BackendError(RunlogOtelError):
    """A backend that is asked for traces or metrics did not answer as it should."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}")


class RunNotFoundError(RunlogOtelError, LookupError):
    """The configured store has no run log of that id."""

    def __init__(self, run_id: str, where: str) -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id!r} is not in {where}; `runlog-otel check` shows which store the config names")


class RunOutsideError(RunNotFoundError):
    """A run id is a path that leads out of the folder with the run logs."""

    def __init__(self, run_id: str, where: str) -> None:
        self.run_id = run_id
        RunlogOtelError.__init__(self, f"run {run_id!r} is not read: as a path it leads out of {where}")


class RunLogFormatError(RunlogOtelError, ValueError):
    """A document is not a run log."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(f"{where} is not a run log: {problem}")


class SourceError(RunlogOtelError):
    """A source of runs did not answer as it should."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        super().__init__(f"{where}: {problem}")


class UnsupportedStoreError(RunlogOtelError):
    """A store cannot be listed by the command line."""

    def __init__(self, kind: str, kinds: Sequence[str]) -> None:
        self.kind = kind
        super().__init__(f"runs of a store of type {kind!r} cannot be listed, name them; known are {', '.join(kinds)}")


class RunExistsError(RunlogOtelError):
    """A run log of that id exists already."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"a run log of id {run_id!r} exists already; a retry reuses it, a new run needs a new id")


class PartNotFoundError(RunlogOtelError, LookupError):
    """The run exists; its step, branch or job does not."""

    def __init__(self, kind: str, key: str, run_id: str) -> None:
        self.kind = kind
        self.key = key
        self.run_id = run_id
        super().__init__(f"run {run_id!r} has no {kind} {key!r}")


class StepNotFoundError(PartNotFoundError):
    """The run has no such step."""

    def __init__(self, key: str, run_id: str) -> None:
        super().__init__("step", key, run_id)


class BranchNotFoundError(PartNotFoundError):
    """The run has no such branch."""

    def __init__(self, key: str, run_id: str) -> None:
        super().__init__("branch", key, run_id)


class JobNotFoundError(PartNotFoundError):
    """The run is not a job, or its job was not logged yet."""

    def __init__(self, run_id: str) -> None:
        super().__init__("job", "", run_id)


class StoreError(RunlogOtelError):
    """A database operation failed; `where` is its address without credentials."""

    def __init__(self, where: str, reason: str, advice: str = "") -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}" + (f"; {advice}" if advice else ""))


class StoreUnavailableError(StoreError):
    """The database was locked or out of reach until the deadline; the same call may succeed later."""


class SchemaVersionError(StoreError):
    """The tables are missing, older or newer than this code."""


class StateInUseError(RunlogOtelError):
    """Another `serve` uses the same state: there can be one writer only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is in use by another `runlog-otel serve`; stop it, or give this one its own --state")


class OutputError(RunlogOtelError):
    """Standard output cannot be written: a full device, a closed descriptor."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"standard output cannot be written: {problem}")
