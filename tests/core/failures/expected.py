"""What is right about each recorded failure."""

from typing import NamedTuple


class Expected(NamedTuple):
    """The first cause of an execution, and what followed from it."""

    kind: str
    path: str
    error_type: str
    place: str
    followed: tuple[tuple[str, str], ...] = ()
    survived: tuple[tuple[str, str], ...] = ()


REPORT = (("not_run", "report"),)
CLOSE = (("not_run", "close"),)
BROKEN = Expected("attempt", "work on it", "RuntimeError", "fragile.py in work", CLOSE)
NOTHING = Expected("", "", "", "")

CAUSES: dict[tuple[str, int], Expected] = {
    ("async", 1): Expected("attempt", "fetch", "__main__.RegistryError", "failures.py in send", (("not_run", "keep"),)),
    ("broken-import", 1): Expected("attempt", "score", "ModuleNotFoundError", "failures.py in score", REPORT),
    ("cancelled", 1): Expected("run", "work", "cancellation", "broken_off.py in work, step work", CLOSE),
    ("conditional", 1): Expected(
        "attempt",
        "which side.tails.lose",
        "RuntimeError",
        "failures.py in lose",
        (
            ("container", "which side"),
            ("container", "which side.tails"),
            ("not_run", "win"),
            ("not_run", "report"),
        ),
    ),
    ("exception", 1): Expected("attempt", "publish", "failures.RegistryError", "failures.py in send", REPORT),
    ("host-raised", 1): Expected("run", "work", "OSError", "broken_off.py in refuse, step work", CLOSE),
    ("job", 1): Expected("attempt", "job", "ValueError", "job.py in work"),
    ("killed", 1): NOTHING,
    ("magnus", 1): Expected(
        "attempt",
        "each region.broken.clean",
        "_OTHER",
        "step clean",
        (("container", "each region.broken"), ("container", "each region")),
    ),
    ("missing-file", 1): Expected("run", "read", "Exception", "any_path.py in get, step read", REPORT),
    ("missing-parameter", 1): Expected(
        "attempt", "count", "ValueError", "parameters.py in filter_arguments_for_func, step count", REPORT
    ),
    ("nested-map", 1): Expected(
        "attempt",
        "both.training.each model.large.fit",
        "MemoryError",
        "failures.py in fit",
        (
            ("container", "both.training.each model"),
            ("container", "both.training.each model.large"),
            ("container", "both.training"),
            ("container", "both"),
            *REPORT,
        ),
    ),
    ("notebook", 1): Expected(
        "attempt", "read", "LookupError", "notebook cell in turn", (("not_run", "never reached"),)
    ),
    ("on-failure", 1): NOTHING._replace(survived=(("publish", "run"),)),
    ("on-failure-fails", 1): Expected(
        "attempt",
        "publish",
        "failures.RegistryError",
        "failures.py in send",
        (("failed_later", "clean up"), *REPORT),
    ),
    ("out-of-memory", 1): Expected("attempt", "train", "oom_killed", "step train"),
    ("pool", 1): Expected(
        "attempt",
        "side by side.left.work left",
        "ValueError",
        "failures.py in fail_soon",
        (
            ("container", "side by side.left"),
            ("failed_later", "side by side.right.work right"),
            ("container", "side by side.right"),
            ("container", "side by side"),
            *REPORT,
        ),
    ),
    ("repeated", 1): NOTHING._replace(survived=(("each region.north.ask", "step"),)),
    ("retried-fail", 1): BROKEN,
    ("retried-fail", 2): BROKEN,
    ("retried-success", 1): BROKEN,
    ("retried-success", 2): NOTHING,
    ("second-succeeds", 1): BROKEN,
    ("second-succeeds", 2): NOTHING,
    ("shell", 1): Expected("attempt", "copy", "exit_3", "step copy", REPORT),
    ("timeout", 1): Expected("run", "work", "timeout", "broken_off.py in leave, step work", CLOSE),
    ("two-executions", 1): BROKEN,
    ("two-executions", 2): BROKEN,
}
"""By the fixture's name and the number of the execution; `NOTHING` for those that did not fail."""
