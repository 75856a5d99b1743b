"""What no host records: of a run, in the wrapper's header; of an attempt, in a code identity of our own.

Only the running processes knew it: who started the run; where an attempt ran, what it used, what its code said. An
attempt's facts stand where its note does (`timestamps`). They are one JSON object, so the host shows them as text and
never reads them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.model import NO_FACTS, AttemptEvent, Ending, Facts, Value

Document = Mapping[str, Any]

FACTS = "runlog_otel.facts"
"""The key of the host's code identity that holds an attempt's facts, or the type of our own."""
_INT64 = range(-(2**63), 2**63)


def code_from_facts(facts: Facts, index: int | None = None) -> dict[str, Any]:
    """Facts as a `CodeIdentity`; see `text_of_facts`."""
    return {
        "code_identifier_type": FACTS,
        "code_identifier": text_of_facts(facts, index),
        "code_identifier_dependable": True,
        "code_identifier_message": "where the attempt ran, what it used and what its code said of itself",
    }


def text_of_facts(facts: Facts, index: int | None = None) -> str:
    """Facts as JSON.

    Args:
        facts: of one attempt, already redacted.
        index: of the attempt, if they are on its step.
    """
    values = {
        "attempt": index,
        "attributes": dict(facts.attributes),
        "annotations": dict(facts.annotations),
        "events": [[event.time_ns, event.name, dict(event.attributes)] for event in facts.events],
        "error": facts.error_type,
    }
    given = {name: value for name, value in values.items() if value not in (None, "", {}, [])}
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def redacted_facts(facts: Facts, redact: Callable[[str], str]) -> Facts:
    """The facts with every text masked."""

    def masked(values: Mapping[str, Value]) -> dict[str, Value]:
        return {name: _masked(value, redact) for name, value in values.items()}

    events = tuple(AttemptEvent(each.time_ns, redact(each.name), masked(each.attributes)) for each in facts.events)
    return replace(facts, attributes=masked(facts.attributes), annotations=masked(facts.annotations), events=events)


def run_facts(own: Document) -> dict[str, Any]:
    """The fields of a `Header` that hold facts, from the wrapper's entry in the run config; odd parts are left out."""
    name, tracestate = own.get("pipeline"), own.get("tracestate")
    return {
        "pipeline": name if isinstance(name, str) else "",
        "facts": known_attributes(own.get("facts"), semconv.RUN_FACTS),
        "is_child": own.get("parent") == "child",
        "tracestate": tracestate if isinstance(tracestate, str) else "",
        "endings": tuple(_endings(own.get("endings"))),
    }


def ending_entry(ending: Ending) -> dict[str, Any]:
    """An ending as an item of the entry's list `endings`."""
    return asdict(ending)


def known_attributes(values: Any, known: frozenset[str]) -> dict[str, Value]:
    """Those of the values whose names are known, and whose types a span can have."""
    given = values if isinstance(values, Mapping) else {}
    return {name: _hashable(value) for name, value in given.items() if name in known and is_fact_value(value)}


def is_fact_value(value: Any) -> bool:
    """Whether a value can be an attribute: a scalar in OTLP's range, or a list of texts."""
    if isinstance(value, int):
        return value in _INT64  # a bool too
    return isinstance(value, str | float) or (
        isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)
    )


def _masked(value: Value, redact: Callable[[str], str]) -> Value:
    if isinstance(value, tuple):
        return tuple(map(redact, value))
    return redact(value) if isinstance(value, str) else value


def facts_from_text(text: str) -> tuple[int, Facts]:
    """The index of an attempt and its facts; whatever cannot be read is left out."""
    try:
        values = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return 0, NO_FACTS
    if not isinstance(values, Mapping):
        return 0, NO_FACTS
    index, error = values.get("attempt"), values.get("error")
    return index if isinstance(index, int) else 0, Facts(
        attributes=known_attributes(values.get("attributes"), semconv.ATTEMPT_FACTS),
        annotations=_annotations(values.get("annotations")),
        events=tuple(_events(values.get("events"))),
        error_type=error if isinstance(error, str) else "",
    )


def _endings(values: Any) -> Iterator[Ending]:
    for value in values if isinstance(values, list) else ():
        with suppress(AttributeError, TypeError):
            ending = Ending(**{**value, "open_steps": tuple(value.get("open_steps", ()))})
            texts = (ending.result, ending.error_type, ending.message, *ending.open_steps)
            if all(isinstance(text, str) for text in texts) and all(
                isinstance(number, int) for number in (ending.execution, ending.at_ns)
            ):
                yield ending


def _events(values: Any) -> Iterator[AttemptEvent]:
    for value in values if isinstance(values, list) else ():
        match value:
            case [int(time_ns), str(name), dict(attributes)]:
                if semconv.is_free_event(name):
                    yield AttemptEvent(time_ns, name, _annotations(attributes, partial(semconv.is_free_in, name)))


def _annotations(values: Any, is_free: Callable[[str], bool] = semconv.is_free) -> dict[str, Value]:
    """What the code said: any name but ours and those of the conventions."""
    given = values if isinstance(values, Mapping) else {}
    return {name: _hashable(value) for name, value in given.items() if is_free(name) and is_fact_value(value)}


def _hashable(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value
