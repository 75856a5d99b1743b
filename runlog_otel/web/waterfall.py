"""The rows of a run's waterfall: steps, branches and attempts over time. Pure.

Rows are made of spans, which hold only what may leave the process.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from runlog_otel.core import semconv
from runlog_otel.core.links import trace_url
from runlog_otel.core.model import ITERATED_KINDS
from runlog_otel.core.trace import Span, SpanRole, Trace

CHUNK = 100
"""Rows in a group: the browser lays out only the groups that are in sight."""
_FOLDED = 50
"""A part with more rows than this below it is folded at first."""
_MAX_DEPTH = 8
_WIDTH = 1000
RUNNING = "running"
_RESULTS = (semconv.PIPELINE_RESULT, semconv.TASK_RESULT, semconv.BRANCH_RESULT, semconv.ATTEMPT_RESULT)
_COLOURS = {"success": "ok", "skip": "none", RUNNING: "run", "": "none"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `x` and `width` in thousandths of the chart."""

    x: float
    width: float
    colour: str


@dataclass(frozen=True, slots=True)
class Row:
    """A step, a branch, an iteration, or an attempt of a step that has several.

    `cpu_seconds` and `memory_bytes` are the sum and the highest of the attempts in it.
    """

    key: str
    """Its span id: the same whenever the page is made."""
    kind: str
    """`step`, `branch`, `iteration` or `attempt`."""
    label: str
    where: str
    """The names from the root of the graph down to it."""
    depth: int
    result: str
    colour: str
    start_ns: int
    end_ns: int
    bar: Bar
    segments: tuple[Bar, ...] = ()
    """The attempts of a step that has several."""
    path: tuple[Bar, ...] = ()
    """Where it is on the critical path."""
    below: int = 0
    """How many rows belong to it."""
    inside: str = ""
    """What these rows are: `24 iterations`, `3 attempts`; without any, the step that is all of a branch."""
    is_folded: bool = False
    error_type: str = ""
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    url: str = ""

    @property
    def duration_ns(self) -> int:
        """How long it took, or has taken so far."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The rows of one execution, and the time that they share; both ends in nanoseconds since the epoch."""

    start_ns: int
    end_ns: int
    rows: tuple[Row, ...] = field(repr=False)
    names: Mapping[bytes, str] = field(default_factory=dict, repr=False)
    """What steps and branches are called on the page, by their span ids: with all names above them."""
    keys: Mapping[bytes, str] = field(default_factory=dict, repr=False)
    """The rows of parts that have none of their own, by their span ids."""
    has_path: bool = False

    def row_of(self, span_id: bytes) -> str:
        """The key of the row that shows a step or a branch."""
        while (key := self.keys.get(span_id)) is not None:
            span_id = bytes.fromhex(key)
        return span_id.hex()

    @property
    def chunks(self) -> Iterator[tuple[Row, ...]]:
        """The rows in groups."""
        for at in range(0, len(self.rows), CHUNK):
            yield self.rows[at : at + CHUNK]

    @property
    def ticks_ns(self) -> tuple[int, ...]:
        """The moments at which the four quarters of the chart begin, from its start."""
        return tuple((self.end_ns - self.start_ns) * quarter // 4 for quarter in range(4))


def result_of_span(span: Span, is_complete: bool) -> str:
    """How a part ended; `running` if it has not ended, and its execution has not either."""
    result = next((str(span.attributes[key]) for key in _RESULTS if key in span.attributes), "")
    is_open = span.attributes.get(semconv.ERROR_TYPE) == semconv.ABANDONED
    return RUNNING if is_open and not is_complete else result


def colour_of(result: str) -> str:
    """The class of a result: `ok`, `bad`, `run` or `none`."""
    return _COLOURS.get(result, "bad")


def waterfall(
    trace: Trace,
    *,
    is_complete: bool = True,
    now_ns: int | None = None,
    critical: Mapping[str, tuple[int, int]] | None = None,
    ui: str = "",
) -> Waterfall:
    """The waterfall of an execution that was mapped whole (`is_abandoned`).

    Args:
        trace: its spans, from the root on.
        is_complete: whether the execution has ended.
        now_ns: until when open parts are drawn, if it has not; by default until the latest time in the log.
        critical: when the steps on the critical path are on it, by their paths.
        ui: the base URL of Jaeger's user interface, for links.
    """
    return _Builder(trace, is_complete, now_ns, critical or {}, ui).waterfall()


@dataclass(slots=True)
class _Inside:
    """What is known of a part from the parts in it."""

    parts: list[Span] = field(default_factory=list)
    """The steps or branches in it, the last one first."""
    attempts: list[Span] = field(default_factory=list)
    rows: int = 0
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    critical: tuple[int, int] | None = None

    def add(self, span: Span, inside: "_Inside", rows: int) -> None:
        self.rows += rows
        if span.role is SpanRole.ATTEMPT:
            self.attempts.append(span)
        else:
            self.parts.append(span)
        self.cpu_seconds = _combined(sum, self.cpu_seconds, inside.cpu_seconds)
        self.memory_bytes = _combined(max, self.memory_bytes, inside.memory_bytes)
        if inside.critical:
            start, end = self.critical or inside.critical
            self.critical = min(start, inside.critical[0]), max(end, inside.critical[1])


class _Builder:
    def __init__(
        self, trace: Trace, is_complete: bool, now_ns: int | None, critical: Mapping[str, tuple[int, int]], ui: str
    ) -> None:
        self._root = root = trace.spans[0]
        self._is_complete = is_complete
        self._end_ns = root.end_ns if is_complete else max(root.end_ns, now_ns or 0)
        self._ui = ui
        self._spans = [span for span in trace.spans[1:] if span.role is not SpanRole.START]
        self._by_id = {span.span_id: span for span in self._spans}
        self._repeating: dict[bytes, Span] = {}
        """By their ids, the parts with a row that stands for the only part in them too."""
        self._inside = self._summed(critical)

    def _summed(self, critical: Mapping[str, tuple[int, int]]) -> dict[bytes, _Inside]:
        """What is in each part, from the innermost on: a part comes before those in it."""
        inside: dict[bytes, _Inside] = defaultdict(_Inside)
        for span in reversed(self._spans):
            own = inside[span.span_id]
            own.attempts.reverse()
            attributes = span.attributes
            if span.role is SpanRole.ATTEMPT:
                own.cpu_seconds = _number(attributes.get(semconv.CPU_TIME))
                peak = _number(attributes.get(semconv.MEMORY_PEAK))
                own.memory_bytes = None if peak is None else int(peak)
            elif own.critical is None and span.role is SpanRole.STEP:
                own.critical = critical.get(str(attributes.get(semconv.TASK_RUN_ID)))
            if len(own.attempts) == 1 or (span.role is SpanRole.BRANCH and own.rows == 1):
                own.rows -= 1
                self._repeating[span.span_id] = own.attempts[0] if own.attempts else own.parts[0]
            inside[span.parent_span_id].add(span, own, own.rows + 1)
        return inside

    def waterfall(self) -> Waterfall:
        names = {self._root.span_id: ""}
        rows = tuple(self._rows(names))
        keys = {part.span_id: above.hex() for above, part in self._repeating.items()}
        return Waterfall(self._root.start_ns, self._end_ns, rows, names, keys, any(row.path for row in rows))

    def _rows(self, names: dict[bytes, str]) -> Iterator[Row]:
        """The rows in the order of the log; adds what each part is called."""
        depths, labels = {self._root.span_id: -1}, {self._root.span_id: ""}
        for span in self._spans:
            above = span.parent_span_id
            depths[span.span_id] = depth = depths[above] + 1
            label = _label(span)
            is_attempt = span.role is SpanRole.ATTEMPT
            where = names[above] if is_attempt or labels[above] == label else _joined(names[above], label)
            labels[span.span_id] = label
            names[span.span_id] = where
            if self._repeating.get(above) is not span:
                yield self._row(span, label, where, min(depth, _MAX_DEPTH))

    def _row(self, span: Span, label: str, where: str, depth: int) -> Row:
        inside = self._inside[span.span_id]
        result = result_of_span(span, self._is_complete)
        end_ns = self._end_ns if result == RUNNING else span.end_ns
        last = self._repeating.get(span.span_id, span)
        return Row(
            key=span.span_id.hex(),
            kind=self._kind(span),
            label=label,
            where=where,
            depth=depth,
            result=result,
            colour=colour_of(result),
            start_ns=span.start_ns,
            end_ns=end_ns,
            bar=self._bar(span.start_ns, end_ns, colour_of(result)),
            segments=tuple(map(self._segment, inside.attempts)) if len(inside.attempts) > 1 else (),
            path=(self._bar(*inside.critical, "path"),) if inside.critical else (),
            below=inside.rows,
            inside=_counted(span, inside) if inside.rows else self._step_of_branch(span),
            is_folded=inside.rows > _FOLDED,
            error_type="" if last.error is None else str(last.attributes.get(semconv.ERROR_TYPE, "")),
            cpu_seconds=inside.cpu_seconds,
            memory_bytes=inside.memory_bytes,
            url=trace_url(self._ui, span.trace_id, span.span_id),
        )

    def _kind(self, span: Span) -> str:
        above = self._by_id.get(span.parent_span_id)
        is_iteration = span.role is SpanRole.BRANCH and above is not None and _is_iterated(above)
        return "iteration" if is_iteration else span.role.value

    def _step_of_branch(self, span: Span) -> str:
        """The name of the only step of a branch, if it says more than that of the branch."""
        step = self._repeating.get(span.span_id)
        return step.name if step and span.role is SpanRole.BRANCH and step.name != _label(span) else ""

    def _segment(self, attempt: Span) -> Bar:
        return self._bar(attempt.start_ns, attempt.end_ns, colour_of(result_of_span(attempt, self._is_complete)))

    def _bar(self, start_ns: int, end_ns: int, colour: str) -> Bar:
        total = max(1, self._end_ns - self._root.start_ns)
        x = (start_ns - self._root.start_ns) * _WIDTH / total
        return Bar(round(x, 3), round((end_ns - start_ns) * _WIDTH / total, 3), colour)


def _joined(above: str, label: str) -> str:
    return f"{above} / {label}" if above else label


def _label(span: Span) -> str:
    if span.role is SpanRole.BRANCH:
        return str(span.attributes.get(semconv.BRANCH_NAME, span.name))
    if span.role is SpanRole.ATTEMPT:
        return f"attempt {span.attributes[semconv.ATTEMPT_NUMBER]}"
    return span.name


def _is_iterated(span: Span) -> bool:
    return span.attributes.get(semconv.STEP_TYPE) in ITERATED_KINDS


def _counted(span: Span, inside: _Inside) -> str:
    """What the rows of a part are, in words; nothing of a branch, whose steps are plain to see."""
    if len(inside.attempts) > 1:
        return f"{len(inside.attempts)} attempts"
    if span.role is not SpanRole.STEP:
        return ""
    count = len(inside.parts)
    name = "iteration" if _is_iterated(span) else "branch"
    plural = "es" if name == "branch" else "s"
    return f"{count:,} {name}{'' if count == 1 else plural}"


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


_Number = TypeVar("_Number", int, float)


def _combined(combine: Callable[[tuple[_Number, _Number]], _Number], *values: _Number | None) -> _Number | None:
    """The sum or the highest of the values that are there."""
    known = [value for value in values if value is not None]
    return combine((known[0], known[1])) if len(known) == 2 else (known[0] if known else None)  # noqa: PLR2004
