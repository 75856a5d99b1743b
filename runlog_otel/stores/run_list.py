"""Lists of runs: what is asked for, and what is shown. It must not import SQLAlchemy: `runs` over files needs none."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; a field that is not set matches all. Times are nanoseconds since the epoch, `until_ns` excluded."""

    run_ids: Sequence[str] = ()
    status: str = ""
    tag: str = ""
    pipeline: str = ""
    since_ns: int | None = None
    until_ns: int | None = None
    failure: str = ""
    """Text in what was said of a failed step or job, in any case."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as lists show it: no step, no parameter, no definition. Times are nanoseconds since the epoch."""

    run_id: str
    source: str
    pipeline: str
    tag: str
    status: str
    original_run_id: str
    created_ns: int
    updated_ns: int
    started_ns: int | None
    ended_ns: int | None
    steps: int
    """How many steps at all depths, without the terminal ones."""
    failed_steps: int


@dataclass(frozen=True, slots=True)
class Page:
    """Runs, newest first.

    `after` is where the page of older runs begins, None on the last one; `before` is where the page of newer runs ends.
    """

    runs: tuple[RunSummary, ...]
    after: str | None
    before: str | None = None
    unread: tuple[str, ...] = ()
    """The ids of runs that were passed over, because they cannot be read."""
