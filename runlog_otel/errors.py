"""What can go wrong, each error with its data and one line that says what to do."""

from collections.abc import Sequence

from runlog_otel.printable import printable


class RunlogOtelError(Exception):
    """Any error of runlog-otel; its text is one line for people, whatever it quotes."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(RunlogOtelError, ValueError):
    """A setting is wrong: which one, where it stands, what was expected."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}")


class MissingExtraError(RunlogOtelError, ImportError):
    """A setting asks for a library that is not installed."""

    def __init__(self, wanted: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{wanted} needs a library that is not installed: pip install 'runlog-otel[{extra}]'")


class DeliveryError(RunlogOtelError):
    """A backend did not acknowledge what it was sent.

    `is_transient` says that it may take the same later, `retry_after_seconds` how long it asked to be left alone.
    """

    def __init__(
        self, endpoint: str, reason: str, *, is_transient: bool = False, retry_after_seconds: float = 0.0
    ) -> None:
        self.endpoint = endpoint
        self.reason = reason
        self.is_transient = is_transient
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{endpoint} did not take what was sent: {reason}")


class TooLargeError(DeliveryError):
    """A backend refused a request, or a single span, for its size, which is `size_bytes`."""

    def __init__(self, endpoint: str, reason: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__(endpoint, reason)


class RunNotFoundError(RunlogOtelError, LookupError):
    """No run log of that id is where the config says."""

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

    def __init__(self, kind: str, known: Sequence[str]) -> None:
        self.kind = kind
        super().__init__(f"runs of a store of type {kind!r} cannot be listed, name them; known are {', '.join(known)}")
