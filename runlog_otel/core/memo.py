"""What is equal in the next run of a pipeline: the spans of its steps, but for ids and times."""

from collections.abc import Hashable, ItemsView, Iterable, Iterator, Mapping
from typing import NamedTuple

from runlog_otel.core.model import Value
from runlog_otel.core.redaction import RedactionPolicy

_MAX_REMEMBERED = 10_000
"""Shapes of spans that a memo holds; of a map, each iteration has its own."""


class AttributeGroup(dict[str, Value]):
    """Sanitised attributes that many spans, or many events, have. A writer keeps its bytes of them in `encoded`."""

    __slots__ = ("encoded",)
    encoded: bytes


class JoinedAttributes(Mapping[str, Value]):
    """The attributes of groups, one after another; joined when they are read. No two groups have a key in common."""

    __slots__ = ("groups",)

    def __init__(self, *groups: AttributeGroup) -> None:
        self.groups = groups

    def __getitem__(self, key: str) -> Value:
        for group in self.groups:
            if key in group:
                return group[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined())

    def __len__(self) -> int:
        return len(self._joined())

    def items(self) -> ItemsView[str, Value]:
        """See `Mapping.items`; joins once."""
        return self._joined().items()

    def _joined(self) -> dict[str, Value]:
        return {key: value for group in self.groups for key, value in group.items()}


class Repeated(NamedTuple):
    """What the spans of equal parts have in common."""

    name: str
    own: AttributeGroup
    """Without those that every span of the execution has, and those that vary."""
    events: tuple[tuple[str, int, JoinedAttributes], ...]
    """Name, 0 if it is at the span's start and 1 if it is at its end, attributes."""

    @classmethod
    def of(
        cls,
        name: str,
        interval: tuple[int, int],
        own: Mapping[str, Value],
        events: Iterable[tuple[str, int, Mapping[str, Value]]],
    ) -> "Repeated":
        """Of a span, whose events are at its start or end."""
        ends = [(event, interval.index(at_ns), JoinedAttributes(AttributeGroup(said))) for event, at_ns, said in events]
        return cls(name, AttributeGroup(own), tuple(ends))

    def events_at(self, interval: tuple[int, int]) -> Iterator[tuple[str, int, JoinedAttributes]]:
        """The events of another span."""
        return ((name, interval[end], attributes) for name, end, attributes in self.events)


class SpanMemo:
    """What was repeated so far, by its shape: all that the mapping looks at, beside ids and times.

    It holds the texts of logs in clear, so it ends with the export that it is made for. Runs with secrets in their log
    are not remembered.
    """

    def __init__(self) -> None:
        self._repeated: dict[RedactionPolicy, dict[Hashable, Repeated]] = {}

    def of(self, policy: RedactionPolicy) -> dict[Hashable, Repeated] | None:
        """What was mapped with a policy; None if that exports values of parameters, which do not repeat."""
        if policy.exports_parameters:
            return None
        repeated = self._repeated.setdefault(policy, {})
        if len(repeated) > _MAX_REMEMBERED:
            repeated.clear()
        return repeated
