"""The progress of a run as rows for a terminal, and its changes as lines; redacted. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runlog_otel.cli.durations import about_text, duration_text
from runlog_otel.core.expectation import Key
from runlog_otel.core.model import Attempt, Status
from runlog_otel.core.progress import Part, Progress, State
from runlog_otel.core.redaction import Redaction, bounded
from runlog_otel.core.trace import Execution

MAX_BRANCHES = 10
"""Of a step with more, those that are done or queued are only counted."""
_MAX_BYTES = 300
"""The most of a text from the log that is shown."""
_SECOND_NS = 10**9


class Row(NamedTuple):
    """A line of the tree."""

    depth: int
    label: str
    took: str
    state: State
    note: str


@dataclass(frozen=True, slots=True)
class ProgressText:
    """Writes of the parts of an execution at one moment.

    Args:
        execution: the execution, which says what is redacted.
        redaction: masks the secrets of the whole run.
        usual: how long parts usually take (`expectation.usual_durations`).
        now_ns: the time.
    """

    execution: Execution
    redaction: Redaction
    usual: Mapping[Key, int]
    now_ns: int

    def title(self) -> str:
        """The pipeline, and the execution if it is not the first."""
        again = f", execution {self.execution.number}" if self.execution.number > 1 else ""
        return f"{self._text(self.execution.pipeline)}{again}"

    def summary(self, progress: Progress, result: str) -> str:
        """How the execution ended (`result`), or how long it has run and may still take."""
        if result:
            has_times = progress.start_ns is not None and progress.end_ns is not None
            took = f" in {duration_text(progress.end_ns - progress.start_ns)}" if has_times else ""  # type: ignore[operator]
            return f"{result}{took}"
        took = "" if progress.start_ns is None else f" {about_text(max(0, self.now_ns - progress.start_ns))}"
        left_ns = progress.remaining_ns(self.usual, self.now_ns)
        if left_ns == 0 and not any(part.state.is_open for part in progress.parts):
            return f"running{took}"
        if left_ns is None:
            return f"running{took}, time left unknown"
        return f"running{took}, {_left_text(left_ns) if left_ns else 'longer than usual'}"

    def rows(self, progress: Progress, limit: int) -> tuple[list[Row], str]:
        """At most `limit` rows, and what was left out in a few words.

        What runs and what failed has precedence, by turns; then what is to come, then what is done.
        """
        parts = list(_shown(progress.parts, 0))
        chosen = _most_important(parts, limit)
        rows = [self._row(*parts[at]) for at in chosen]
        left_out = Counter(parts[at][1].state for at in set(range(len(parts))).difference(chosen))
        return rows, ", ".join(_count_texts(left_out))

    def changes(self, before: Progress | None, after: Progress) -> list[tuple[int, str, Part]]:
        """What changed since an earlier progress of the run: time, line and part, in the order of the times."""
        is_same = before is not None and before.execution == after.execution
        known = {part.path: part for part in before.all_parts()} if before and is_same else {}
        changes = [
            (at_ns, -depth if part.end_ns == at_ns else depth, line, part)
            for depth, part in _reported(after.parts)
            for at_ns, line in self._change(known.get(part.path), part)
        ]
        changes.sort(key=lambda change: change[:2])  # what is inside ends first, and starts last
        return [(at_ns, f"{self._text(part.path)}  {line}", part) for at_ns, _, line, part in changes]

    def _change(self, old: Part | None, part: Part) -> Iterator[tuple[int, str]]:
        new_attempts = part.attempts[len(old.attempts) if old else 0 :]
        if part.state is State.RUNNING:
            for attempt in [attempt for attempt in new_attempts if attempt.status is Status.FAIL]:
                yield attempt.end_ns or self.now_ns, f"attempt {attempt.number} failed{self._why(attempt, ': ')}"
            if new_attempts or old is None or old.state is not State.RUNNING:
                usual = _usual_text(self.usual.get(part.key, 0))
                yield part.start_ns or self.now_ns, f"running{usual and f', {usual}'}"
        elif self._is_news(old, part):
            took = "" if part.start_ns is None or part.end_ns is None else self._took(part)
            why = self._why(part.attempts[-1], ": ") if part.state.has_failed and part.attempts else ""
            yield part.end_ns or self.now_ns, f"{part.state.value}{took and f' in {took}'}{why}"
        if _is_long(part) and (old is None or _counts(old) != _counts(part)):
            yield self.now_ns, _counts(part)

    def _is_news(self, old: Part | None, part: Part) -> bool:
        """Whether a part has ended since, in this execution."""
        is_of_before = self.execution.number > 1 and part.state.is_done and part.end_ns is None
        is_over = not (part.state.is_open or part.state is State.NOT_RUN or is_of_before)
        return is_over and (old is None or old.state is not part.state)

    def _row(self, depth: int, part: Part, inner: Part | None) -> Row:
        notes = []
        if inner is not None:
            why = self._why(inner.attempts[-1], ": ") if inner.state.has_failed and inner.attempts else ""
            notes.append(f"{self._text(inner.name)}{why}")
        elif part.state.has_failed and part.attempts:
            notes.append(self._why(part.attempts[-1]))
        elif part.state is State.RUNNING and part.attempts and part.attempts[-1].status is Status.FAIL:
            notes.append(f"attempt {part.attempts[-1].number} failed{self._why(part.attempts[-1], ': ')}")
        if part.parts and not part.is_branch and (part.state is not State.SUCCESS or _is_long(part)):
            notes.append(_counts(part))
        notes.append(self._left(part))
        return Row(depth, self._text(part.name), self._took(part), part.state, "; ".join(filter(None, notes)))

    def _took(self, part: Part) -> str:
        if part.start_ns is None:
            return ""
        if part.end_ns is not None:
            return duration_text(part.end_ns - part.start_ns)
        return about_text(max(0, self.now_ns - part.start_ns)) if part.state is State.RUNNING else ""

    def _left(self, part: Part) -> str:
        usual_ns = self.usual.get(part.key)
        if usual_ns is None or not part.state.is_open:
            return ""
        left_ns = part.remaining_ns(self.usual, self.now_ns)
        return _left_text(left_ns) if part.state is State.RUNNING and left_ns else _usual_text(usual_ns)

    def _why(self, attempt: Attempt, before: str = "") -> str:
        lines = self.execution.failure(attempt).description.splitlines()
        return f"{before}{bounded(lines[0], _MAX_BYTES)}" if lines else ""

    def _text(self, text: str) -> str:
        return self.redaction.bounded(text, _MAX_BYTES)


def _shown(parts: Sequence[Part], depth: int, *, is_long: bool = False) -> Iterator[tuple[int, Part, Part | None]]:
    """The parts that may have rows: depth, part, and the only one in it that is worth a word, which then has no row."""
    for part in parts:
        if is_long and (part.state.is_done or part.state in (State.QUEUED, State.NOT_RUN)):
            continue
        begun = [inner for inner in part.parts if inner.state is State.RUNNING or inner.state.has_failed]
        if part.is_branch and len(begun) == 1 and not begun[0].parts:
            yield depth, part, begun[0]
            continue
        yield depth, part, None
        if part.state is State.RUNNING or part.state.has_failed:
            yield from _shown(part.parts, depth + 1, is_long=_is_long(part))


def _most_important(rows: Sequence[tuple[int, Part, Part | None]], limit: int) -> list[int]:
    """The places of the rows that are kept, each with the rows above it."""
    places: dict[State, int] = defaultdict(int)
    keys: list[tuple[int, int, int]] = []
    for at, (_, part, _) in enumerate(rows):
        level = 0 if part.state is State.RUNNING or part.state.has_failed else 1 if part.state.is_open else 2
        keys.append((level, places[part.state], at))
        places[part.state] += 1
    ancestors: list[int] = []
    for at, (depth, _, _) in enumerate(rows):
        del ancestors[depth:]
        for above in ancestors:
            keys[above] = min(keys[above], (*keys[at][:2], above))
        ancestors.append(at)
    return sorted(sorted(range(len(rows)), key=keys.__getitem__)[: max(0, limit)])


def _reported(parts: Sequence[Part], depth: int = 0) -> Iterator[tuple[int, Part]]:
    """The parts whose changes are worth a line, and their depths: of many branches, those that failed."""
    for part in parts:
        yield depth, part
        inner = [branch for branch in part.parts if branch.state.has_failed] if _is_long(part) else part.parts
        yield from _reported(inner, depth + 1)


def _counts(part: Part) -> str:
    """How far the branches of a step are."""
    counts = Counter(inner.state for inner in part.parts)
    done = sum(counts.pop(state) for state in list(counts) if state.is_done)
    return ", ".join([f"{done:,} of {len(part.parts):,} done", *_count_texts(counts)])


def _count_texts(counts: Counter[State]) -> list[str]:
    texts = {
        "done": sum(count for state, count in counts.items() if state.is_done),
        "running": counts[State.RUNNING],
        "queued": counts[State.QUEUED],
        "not run": counts[State.NOT_RUN],
        "failed": sum(count for state, count in counts.items() if state.has_failed),
    }
    return [f"{count:,} {word}" for word, count in texts.items() if count]


def _left_text(left_ns: int) -> str:
    return f"about {about_text(left_ns)} left" if left_ns >= _SECOND_NS else "less than 1s left"


def _usual_text(usual_ns: int) -> str:
    """How long a part usually takes; empty if that is not worth a word."""
    return f"usually {about_text(usual_ns)}" if usual_ns >= _SECOND_NS // 2 else ""


def _is_long(part: Part) -> bool:
    return not part.is_branch and len(part.parts) > MAX_BRANCHES
