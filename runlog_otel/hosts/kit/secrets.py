"""Secrets of the host: look them up, find them in what is recorded, mask them in what is printed."""

import base64
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from runlog_otel.core.model import SecretFingerprint
from runlog_otel.core.redaction import MASK, fingerprint_of, mask_in_place

_MIN_LENGTH = 6
"""Shorter values are ignored, as they would match everywhere."""
_BETWEEN_WORDS = r"[\s,|│]+"
"""White space after wrapping, indenting or drawing boxes; the host turns a program's line ends into commas."""
_BASE64 = (base64.b64encode, base64.urlsafe_b64encode)


class SecretLookup(Protocol):
    """Looks up a host's secrets: the class of a `HostAdapter`, which is pickled for pool workers."""

    def secret(self, name: str) -> str | None:
        """A secret by its name; None without one."""

    def graph(self) -> Any:
        """The definition of the current pipeline or job, as a document; None outside of a run."""


class ExposedSecrets:
    """The values of the secrets that the run's tasks get. Its representation shows none of them.

    The host removes them from the environment after each task, so they are looked up before the first one. They are
    pickled for pool workers, which cannot look them up.
    """

    def __init__(self, lookup: SecretLookup) -> None:
        self._lookup = lookup
        self._values: dict[str, str] = {}
        self.has_looked = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sorted(self._values)})"

    def learn(self, names: Iterable[str]) -> None:
        """Look up secrets; skip those that do not exist."""
        for name in set(names) - set(self._values):
            value = self._lookup.secret(name)
            if value is not None:
                self._values[name] = value

    def __bool__(self) -> bool:
        """Whether any value is known."""
        return bool(self._values)

    def learn_of_context(self) -> None:
        """Look up the secrets of the current run, once: ask `has_looked` first."""
        self.has_looked = True
        self.learn(names_in(self._lookup.graph()))

    def marks_in(self, document: Any, run_id: str, *, is_wrapped: bool = False) -> list[SecretFingerprint]:
        """The fingerprints of the secrets in a document, in any spelling, and of these escaped as JSON.

        Parameters other than scalars are exported as JSON (`runlog_otel.core.trace.parameter_attributes`).

        Args:
            document: texts, in mappings and lists.
            run_id: the run.
            is_wrapped: whether lines of the texts were wrapped, so that a value may stand on several.
        """
        spellings = set(self._spellings())
        exposed: set[str] = set()
        for text in _texts(document) if spellings else ():
            exposed |= {value for value in spellings - exposed if value in text}
            for pattern in filter(None, map(_wrapped, spellings)) if is_wrapped else ():
                exposed |= set(re.findall(pattern, text))
        exposed |= {json.dumps(value, ensure_ascii=False)[1:-1] for value in exposed}
        return sorted(fingerprint_of(value, run_id) for value in exposed)

    def masked(self, text: str) -> str:
        """The text with all of them masked, also where a line was wrapped."""
        for value in sorted(set(self._spellings()), key=len, reverse=True):
            if pattern := _wrapped(value):
                text = re.sub(pattern, MASK, text)
            text = text.replace(value, MASK)
        return text

    def _spellings(self) -> Iterator[str]:
        for value in self._values.values():
            yield from (spelling for spelling in _spellings_of(value) if len(spelling) >= _MIN_LENGTH)


def _spellings_of(value: str) -> Iterator[str]:
    """How programs write a value without hiding it: in URLs, JSON, Python, HTML, base64."""
    import html  # only where there are secrets: its table of entities takes 1 ms

    yield from (value, value.strip(), html.escape(value))
    for quoted in (repr, json.dumps, partial(json.dumps, ensure_ascii=False)):
        escaped = quoted(value)[1:-1]
        yield from (escaped, quoted(escaped)[1:-1])  # a document within a document, the text of a KeyError
    data = value.encode("utf-8", "surrogatepass")
    yield from (how(data, safe=safe) for how in (quote, quote_plus) for safe in ("", "/"))
    for before in range(3):  # bytes in front of the value in its group of three, as of a user's name
        whole = slice((before * 8 + 5) // 6, (before + len(data)) * 8 // 6)
        yield from (how(bytes(before) + data).decode()[whole] for how in _BASE64)


def _wrapped(value: str) -> str:
    """A pattern for a value of several words, with lines wrapped between them; empty for any other value."""
    words = value.split()
    if len(words) > 1 and all(any(map(str.isalnum, word)) for word in words):  # otherwise it could take too long
        return _BETWEEN_WORDS.join(map(re.escape, words))
    return ""


def names_in(document: Any) -> Iterator[str]:
    """The names of secrets in the tasks of a definition (`runnable.tasks.BaseTaskType.secrets`)."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key == "secrets" and isinstance(value, list):
                yield from map(str, value)
            else:
                yield from names_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from names_in(value)


def mask_what_the_host_prints(function: str, config: Mapping[str, Any], allowed: Container[str]) -> None:
    """Mask a store's wrong config in the frame of the host's function that makes services, which prints it.

    Args:
        function: `get_service_by_name` (`runnable.context`), `get_provider_by_name_and_type` (`magnus.utils`).
        config: what the store got.
        allowed: the store's keys; the value of any other key is masked.
    """
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back  # type: ignore[assignment]
    printed = frame.f_locals.get("service_config") if frame is not None else None
    if not isinstance(printed, dict) or printed.keys() != config.keys():  # the config of a store that wraps this one
        return
    mask_in_place(printed)
    printed.update({key: MASK for key in printed if key not in allowed})


def _texts(document: Any) -> Iterator[str]:
    """Every string in a document, keys included."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            waiting += part
