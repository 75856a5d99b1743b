"""What a store of ours can answer instead of a run log."""

from runlog_otel.errors import RunlogOtelError


class RunExistsError(RunlogOtelError):
    """A run log of that id is there already."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"a run log of id {run_id!r} exists already; a retry reuses it, a new run needs a new id")


class PartNotFoundError(RunlogOtelError, LookupError):
    """The run is there; its step, branch or job is not."""

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
    """The database did not do what was asked; `where` is its address without credentials."""

    def __init__(self, where: str, reason: str, advice: str = "") -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}" + (f"; {advice}" if advice else ""))


class StoreUnavailableError(StoreError):
    """The database was locked or out of reach until the deadline; the same call may succeed later."""


class SchemaVersionError(StoreError):
    """The tables are missing, older or newer than this code."""
