"""The rows of a run's waterfall: steps, branches and attempts over time. Pure.

Rows are made of spans, which hold only what may leave the process.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.intervals import MIN_SPAN_DURATION_NS
from runlog_otel.core.model import ITERATED_KINDS, Value
from runlog_otel.core.quick_init import quick_init
from runlog_otel.core.trace import Span, SpanRole, Trace

CHUNK = 50
"""Rows in a group: the browser lays out only the groups that are in sight."""
_FOLDED = 50
"""A part with more rows than this below it is folded at first."""
_MAX_DEPTH = 8
_WIDTH = 1000
RUNNING = "running"
_RESULTS = {
    SpanRole.RUN: semconv.PIPELINE_RESULT,
    SpanRole.STEP: semconv.TASK_RESULT,
    SpanRole.BRANCH: semconv.BRANCH_RESULT,
    SpanRole.ATTEMPT: semconv.ATTEMPT_RESULT,
}
_OF_PARTS = (semconv.OTHER_ERROR, semconv.STEP_FAILED, semconv.BRANCH_FAILED)
_COLOURS = {"success": "ok", "skip": "none", RUNNING: "run", "": "none"}


class Bar(NamedTuple):
    """A rectangle; `x` and `width` in thousandths of the chart."""

    x: float
    width: float
    colour: str


@quick_init
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
    """Empty if it says no more than the result."""
    cpu_seconds: float | None = None
    memory_bytes: int | None = None

    @property
    def duration_ns(self) -> int | None:
        """How long it took, or has taken so far; None if the log does not say that."""
        duration_ns = self.end_ns - self.start_ns
        return duration_ns if duration_ns > MIN_SPAN_DURATION_NS else None


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The rows of one execution, and the time that they share; both ends in nanoseconds since the epoch."""

    start_ns: int
    end_ns: int
    rows: tuple[Row, ...] = field(repr=False)
    names: Mapping[bytes, str] = field(default_factory=dict, repr=False)
    """What steps and branches are called on the page, by their span ids: with all names above them."""
    places: Mapping[bytes, str] = field(default_factory=dict, repr=False)
    """The same without the values of iterations: equal for a step in all of them."""
    keys: Mapping[bytes, str] = field(default_factory=dict, repr=False)
    """The rows of parts that have none of their own, by their span ids."""

    @property
    def has_path(self) -> bool:
        """Whether any row is on a critical path."""
        return any(row.path for row in self.rows)

    @property
    def has_usage(self) -> bool:
        """Whether it is known of any row what it used."""
        return any(row.cpu_seconds is not None or row.memory_bytes is not None for row in self.rows)

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
    is_open = not is_complete and span.attributes.get(semconv.ERROR_TYPE) == semconv.ABANDONED
    return RUNNING if is_open else str(span.attributes.get(_RESULTS[span.role], ""))


def colour_of(result: str) -> str:
    """The class of a result: `ok`, `bad`, `run` or `none`."""
    return _COLOURS.get(result, "bad")


def waterfall(
    trace: Trace,
    *,
    is_complete: bool = True,
    now_ns: int | None = None,
) -> Waterfall:
    """The waterfall of an execution that was mapped whole (`is_abandoned`).

    Args:
        trace: its spans, from the root on.
        is_complete: whether the execution has ended.
        now_ns: until when open parts are drawn, if it has not; by default until the latest time in the log.
    """
    return _Builder(trace, is_complete, now_ns).waterfall()


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

    def add_attempt(self, attempt: Span) -> None:
        """An attempt: it comes before those that were added."""
        self.rows += 1
        self.attempts.insert(0, attempt)
        self.add_usage(_number(attempt.attributes.get(semconv.CPU_TIME)), attempt.attributes.get(semconv.MEMORY_PEAK))

    def add_part(self, part: Span, inside: "_Inside") -> None:
        """A step or a branch, and what is in it."""
        self.rows += inside.rows + 1
        self.parts.append(part)
        self.add_usage(inside.cpu_seconds, inside.memory_bytes)
        if inside.critical:
            start, end = self.critical or inside.critical
            self.critical = min(start, inside.critical[0]), max(end, inside.critical[1])

    def add_usage(self, cpu_seconds: float | None, memory_bytes: Value | None) -> None:
        """What something in it used, as far as that is known."""
        if cpu_seconds is not None:
            self.cpu_seconds = cpu_seconds + (self.cpu_seconds or 0.0)
        if isinstance(memory_bytes, int):
            self.memory_bytes = max(memory_bytes, self.memory_bytes or 0)


class _Builder:
    def __init__(self, trace: Trace, is_complete: bool, now_ns: int | None) -> None:
        self._root = root = trace.spans[0]
        self._is_complete = is_complete
        self._end_ns = root.end_ns if is_complete else max(root.end_ns, now_ns or 0)
        self._spans = [span for span in trace.spans[1:] if span.role is not SpanRole.START]
        self._by_id = {span.span_id: span for span in self._spans}
        self._repeating: dict[bytes, Span] = {}
        """By their ids, the parts with a row that stands for the only part in them too."""
        self._inside = self._summed()

    def _summed(self) -> dict[bytes, _Inside]:
        """What is in each part, from the innermost on: a part comes before those in it."""
        inside: dict[bytes, _Inside] = defaultdict(_Inside)
        for span in reversed(self._spans):
            if span.role is SpanRole.ATTEMPT:
                inside[span.parent_span_id].add_attempt(span)
                continue
            own = inside[span.span_id]
            if semconv.STEP_IS_CRITICAL in span.attributes:
                own.critical = span.start_ns, span.end_ns
            if len(own.attempts) == 1 or (own.rows == 1 and span.role is SpanRole.BRANCH):
                own.rows -= 1
                self._repeating[span.span_id] = own.attempts[0] if own.attempts else own.parts[0]
            inside[span.parent_span_id].add_part(span, own)
        return inside

    def waterfall(self) -> Waterfall:
        names, places = {self._root.span_id: ""}, {self._root.span_id: ""}
        rows = tuple(self._rows(names, places))
        keys = {part.span_id: above.hex() for above, part in self._repeating.items()}
        return Waterfall(self._root.start_ns, self._end_ns, rows, names, places, keys)

    def _rows(self, names: dict[bytes, str], places: dict[bytes, str]) -> Iterator[Row]:
        """The rows in the order of the log; adds what each part is called, and its place in the graph."""
        depths, labels = {self._root.span_id: -1}, {self._root.span_id: ""}
        for span in self._spans:
            above = span.parent_span_id
            depths[span.span_id] = depth = depths[above] + 1
            label = _label(span)
            kind = self._kind(span)
            labels[span.span_id] = label
            is_named = span.role is SpanRole.ATTEMPT or labels[above] == label
            names[span.span_id] = names[above] if is_named else _joined(names[above], label)
            step = "*" if kind == "iteration" else label
            places[span.span_id] = places[above] if is_named else _joined(places[above], step)
            if self._repeating.get(above) is not span:
                yield self._row(span, kind, label, names[span.span_id], min(depth, _MAX_DEPTH))

    def _row(self, span: Span, kind: str, label: str, where: str, depth: int) -> Row:
        inside = self._inside.get(span.span_id)
        if inside is None:  # an attempt
            (inside := _Inside()).add_attempt(span)
            inside.rows = 0
        result = result_of_span(span, self._is_complete)
        end_ns = self._end_ns if result == RUNNING else span.end_ns
        last = self._repeating.get(span.span_id, span)
        return Row(
            key=span.span_id.hex(),
            kind=kind,
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
            error_type="" if result == RUNNING else _error_type(last),
            cpu_seconds=inside.cpu_seconds,
            memory_bytes=inside.memory_bytes,
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


def _error_type(span: Span) -> str:
    """The type of the error of a part that failed by itself."""
    error_type = "" if span.error is None else str(span.attributes.get(semconv.ERROR_TYPE, ""))
    return "" if error_type in _OF_PARTS else error_type


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
