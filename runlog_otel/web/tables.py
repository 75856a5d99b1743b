"""What the attempts of an execution recorded, as the tables of a page. Pure: made of spans, bounded.

Rows are in the order of the log. A table has at most `MAX_ROWS`, and says how many more there are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.model import Value
from runlog_otel.core.trace import Span, SpanRole, Trace
from runlog_otel.web.waterfall import Waterfall

MAX_ROWS = 200
_METRIC, _INPUT, _OUTPUT, _CODE = map(
    semconv.prefix_of, (semconv.METRIC, semconv.INPUT_VALUE, semconv.OUTPUT_VALUE, semconv.CODE_IDENTITY)
)
_USAGE = (semconv.CPU_TIME, semconv.MEMORY_PEAK, semconv.IO_READ, semconv.IO_WRITE, semconv.GPU_TIME)
_MAX_VALUES = 3


@dataclass(frozen=True, slots=True)
class Table:
    """Some rows, and how many were left out."""

    rows: tuple[Any, ...]
    more: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows)


class Said(NamedTuple):
    """A value that the code of an attempt named: a metric, an annotation, an event."""

    where: str
    kind: str
    name: str
    value: Value | str


class Usage(NamedTuple):
    """Where an attempt ran, and what it used; times in seconds, sizes in bytes."""

    where: str
    place: str
    cpu_seconds: float | None
    cpu_limit: float | None
    memory_bytes: int | None
    memory_limit: int | None
    read_bytes: int | None
    written_bytes: int | None
    gpu_seconds: float | None
    gpu_memory_bytes: int | None


class Item(NamedTuple):
    """A file that a step read from the catalog or wrote to it."""

    where: str
    stage: str
    name: str
    data_hash: str
    location: str


@dataclass(slots=True)
class Parameter:
    """A parameter, the steps that got it and those that returned it, and the values that may be shown."""

    name: str
    readers: dict[str, None] = field(default_factory=dict)
    writers: dict[str, None] = field(default_factory=dict)
    """Both in the order of the log, each once."""
    values: list[str] = field(default_factory=list)
    """Different ones in the order of the log, a few of them."""
    more_values: int = 0

    def add_value(self, value: Value) -> None:
        """Add a value that is not there yet."""
        if (text := str(value)) in self.values:
            return
        if len(self.values) < _MAX_VALUES:
            self.values.append(text)
        else:
            self.more_values += 1


class Code(NamedTuple):
    """Which code ran: an identity, and in how many attempts."""

    what: str
    identifier: str
    url: str
    note: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of an execution."""

    said: Table
    parameters: Table
    has_values: bool
    """Whether any parameter's value may be shown."""
    items: Table
    usage: Table
    code: Table


def tables(trace: Trace, chart: Waterfall) -> Tables:
    """The tables of an execution, whose chart knows what its steps are called."""
    names = chart.names
    spans = [span for span in trace.spans if span.role is SpanRole.ATTEMPT]
    tries = Counter(span.parent_span_id for span in spans)
    attempts = [(span, _where(span, names, tries[span.parent_span_id])) for span in spans]
    parameters = list(_parameters(spans, trace.spans[0], chart.places))
    return Tables(
        said=_bounded(said for span, where in attempts for said in _said(span, where)),
        parameters=_bounded(parameters),
        has_values=any(parameter.values for parameter in parameters),
        items=_bounded(
            item for span in trace.spans if span.events and span.role is SpanRole.STEP for item in _items(span, names)
        ),
        usage=_bounded(usage for span, where in attempts if (usage := _usage(span, where))),
        code=_bounded(_code(span for span, _ in attempts)),
    )


def _bounded(rows: Iterable[Any]) -> Table:
    kept: list[Any] = []
    more = 0
    for row in rows:
        if len(kept) < MAX_ROWS:
            kept.append(row)
        else:
            more += 1
    return Table(tuple(kept), more)


def _where(attempt: Span, names: Mapping[bytes, str], tries: int) -> str:
    step = names[attempt.parent_span_id]
    return step if tries == 1 else f"{step}, attempt {attempt.attributes[semconv.ATTEMPT_NUMBER]}"


def _said(attempt: Span, where: str) -> Iterator[Said]:
    for name, value in attempt.attributes.items():
        if name.startswith(_METRIC):
            yield Said(where, "metric", name.removeprefix(_METRIC), value)
        elif semconv.is_free(name):
            yield Said(where, "annotation", name, _text(value))
    for event in attempt.events[: -1 if attempt.evidence else None]:
        yield Said(where, "event", event.name, ", ".join(f"{k}={_text(v)}" for k, v in event.attributes.items()))


def _text(value: Value) -> Value:
    return ", ".join(value) if isinstance(value, tuple) else value


def _parameters(attempts: Iterable[Span], root: Span, places: Mapping[bytes, str]) -> Iterator[Parameter]:
    """Every parameter that is named, by its name."""
    known: dict[str, Parameter] = {}
    for span in (*attempts, root):
        attributes = span.attributes
        for key, kind in ((semconv.INPUT_PARAMETERS, "readers"), (semconv.OUTPUT_PARAMETERS, "writers")):
            names = attributes.get(key, ())
            for name in names if isinstance(names, tuple) else ():
                parameter = known.setdefault(name, Parameter(name))
                if place := places.get(span.parent_span_id):
                    getattr(parameter, kind)[place] = None
        for key, value in attributes.items():
            for prefix in (_INPUT, _OUTPUT):
                if key.startswith(prefix):
                    name = key.removeprefix(prefix)
                    known.setdefault(name, Parameter(name)).add_value(value)
    return (known[name] for name in sorted(known))


def _items(step: Span, names: Mapping[bytes, str]) -> Iterator[Item]:
    for event in step.events:
        if event.name == semconv.CATALOG_EVENT:
            keys = (semconv.CATALOG_STAGE, semconv.CATALOG_NAME, semconv.CATALOG_HASH, semconv.CATALOG_LOCATION)
            yield Item(names[step.span_id], *(str(event.attributes.get(key, "")) for key in keys))


def _usage(attempt: Span, where: str) -> Usage | None:
    attributes: Any = attempt.attributes
    if not any(key in attributes for key in (*_USAGE, semconv.WORKER_NAME)):
        return None
    host = attributes.get(semconv.K8S_POD) or attributes.get(semconv.WORKER_NAME) or attributes.get(semconv.HOST_NAME)
    process = attributes.get(semconv.PROCESS_PID)
    keys = (semconv.CPU_TIME, semconv.CPU_LIMIT, semconv.MEMORY_PEAK, semconv.MEMORY_LIMIT, semconv.IO_READ)
    more = (semconv.IO_WRITE, semconv.GPU_TIME, semconv.GPU_MEMORY_PEAK)
    place = f"{host or ''}:{process}" if process is not None else str(host or "")
    return Usage(where, place, *(attributes.get(key) for key in (*keys, *more)))


def _code(attempts: Iterable[Span]) -> Iterator[Code]:
    """The different identities of code, the most used first."""
    counts: dict[tuple[str, str, str, str], int] = {}
    for span in attempts:
        for identity in _identities(span.attributes):
            counts[identity] = counts.get(identity, 0) + 1
    return (Code(*identity, count) for identity, count in sorted(counts.items(), key=lambda pair: -pair[1]))


def _identities(attributes: Mapping[str, Value]) -> Iterator[tuple[str, str, str, str]]:
    if revision := attributes.get(semconv.VCS_REVISION):
        note = "" if attributes.get(semconv.CODE_IS_CLEAN, True) else "the work tree had changes"
        yield "git commit", str(revision), str(attributes.get(semconv.VCS_REPOSITORY, "")), note
    if image := attributes.get(semconv.IMAGE_NAME) or attributes.get(semconv.IMAGE_ID):
        tags = attributes.get(semconv.IMAGE_TAGS, ())
        name = ":".join((str(image), *(tags if isinstance(tags, tuple) else ())))
        yield "container image", name, "", str(attributes.get(semconv.IMAGE_DIGEST, ""))
    for key, value in attributes.items():
        if key.startswith(_CODE):
            yield key.removeprefix(_CODE), str(value), "", ""
