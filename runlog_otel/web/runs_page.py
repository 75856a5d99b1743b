"""The list of runs: what is asked for in its URL, and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from runlog_otel.core.model import Status
from runlog_otel.core.trace import Result
from runlog_otel.errors import ConfigError
from runlog_otel.sources.moments import moment_ns
from runlog_otel.stores.run_list import Page, RunFilter, RunSummary
from runlog_otel.web.reader import RUNNING, RunLine, RunReader, is_going_on

PAGE = 50
_UNFINISHED = 20
"""How many unfinished runs of each status are brought to the top of the first page."""
FILTERS = ("pipeline", "status", "tag", "since", "until", "failure")
STATUSES = ("running", "success", "failure")
"""As the page names them, and a URL."""
_STORED = {
    "running": Status.PROCESSING.value,
    "success": Status.SUCCESS.value,
    "failure": Status.FAIL.value,
}
_COLOURS = {Result.SUCCESS.value: "ok", RUNNING: "run", "": ""}
"""Of the words for results; of all others `bad`."""


@dataclass(frozen=True, slots=True)
class RunsQuery:
    """The query of a list's URL, as it was written; `after` and `before` are ends of pages."""

    filters: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    before: str = ""

    @property
    def is_first_page(self) -> bool:
        """Whether it asks for the newest runs."""
        return not (self.after or self.before)

    def run_filter(self) -> RunFilter:
        """What is asked of the store; raises ConfigError for a status or a time that is none."""
        asked = self.filters
        status = asked.get("status", "").lower()
        if status and status not in _STORED and status.upper() not in Status.__members__:
            raise ConfigError("status", f"{asked['status']!r} is none of {', '.join(STATUSES)}")
        return RunFilter(
            status=_STORED.get(status, status.upper()),
            tag=asked.get("tag", ""),
            pipeline=asked.get("pipeline", ""),
            since_ns=moment_ns(asked.get("since", ""), "since"),
            until_ns=moment_ns(asked.get("until", ""), "until"),
            failure=asked.get("failure", ""),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A run in the list, ready to be drawn."""

    line: RunLine
    word: str
    """Its status."""
    kind: str
    """The class of its status: `ok`, `bad`, `run` or nothing."""

    @property
    def fill(self) -> int:
        """How long its bar is, where the median is 100 and the end 200; 0 without a median."""
        took, typical = self.line.took_ns, self.line.typical_ns
        return max(1, min(200, round(took / typical * 100))) if took is not None and typical else 0


@dataclass(frozen=True, slots=True)
class RunsView:
    """The list as its template shows it."""

    query: RunsQuery
    rows: tuple[Row, ...]
    after: str
    before: str
    is_short: bool
    """Whether it ends before all was read: only so many runs of a source of files are read for a page."""
    unread: tuple[str, ...]


def query_from_url(parameters: Mapping[str, str]) -> RunsQuery:
    """The query of a URL's parameters; empty and unknown ones are left out."""
    filters = {name: parameters[name].strip() for name in FILTERS if parameters.get(name, "").strip()}
    return RunsQuery(filters, parameters.get("after", ""), parameters.get("before", ""))


def runs_view(reader: RunReader, query: RunsQuery, now_ns: int) -> RunsView:
    """The list.

    The pages together have each run once, newest first. The first one begins with the runs that go on, also with older
    ones, which are on a later page as well.

    Raises:
        ConfigError: the query is wrong.
        RunlogOtelError: the runs cannot be read.
    """
    run_filter = query.run_filter()
    page = reader.history.page(run_filter, after=query.after or None, before=query.before or None, limit=PAGE)
    runs: Sequence[RunSummary] = page.runs
    if query.is_first_page:
        runs = _running_first(reader, run_filter, page, now_ns)
    rows = tuple(row_of(line) for line in reader.lines(runs, now_ns))
    is_short = page.after is not None and len(page.runs) < PAGE and not query.before
    return RunsView(query, rows, page.after or "", page.before or "", is_short, page.unread)


def _running_first(reader: RunReader, run_filter: RunFilter, page: Page, now_ns: int) -> list[RunSummary]:
    listed = {run.run_id for run in page.runs}
    older = []
    if not (run_filter.status or run_filter.failure or run_filter.since_ns or run_filter.until_ns):
        pairs = ((run_filter.pipeline, "pipeline"), (run_filter.tag, "tag"))
        older = [
            run
            for run in reader.history.unfinished(_UNFINISHED)
            if run.run_id not in listed and all(not text or getattr(run, name) == text for text, name in pairs)
        ]
    runs = [*page.runs, *older]
    going_on = [run for run in runs if is_going_on(run, now_ns)]
    return [*going_on, *(run for run in page.runs if not is_going_on(run, now_ns))]


def row_of(line: RunLine) -> Row:
    """A run with the word and the colour of its status."""
    return Row(line, line.result or "not ended", _COLOURS.get(line.result, "bad"))


def with_failure(text: str) -> RunsQuery:
    """The query of the search form, for a text that is no run id."""
    return replace(RunsQuery(), filters={"failure": text})
