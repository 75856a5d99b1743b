"""Secrets as the host knows them: looked up, found in what is recorded, kept out of what is printed."""

import base64
import html
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from runlog_otel.core.model import SecretFingerprint
from runlog_otel.core.redaction import MASK, fingerprint_of, mask_in_place

_SHORTEST = 6
"""A shorter value is not looked for: it would be found everywhere."""
_BETWEEN_WORDS = r"[\s,|│]+"
"""What wrapping, indenting and boxes leave of white space; the host makes commas of a program's line ends."""
_BASE64 = (base64.b64encode, base64.urlsafe_b64encode)


class SecretLookup(Protocol):
    """What a host knows of secrets: `hosts.kit.adapter.HostAdapter`, whose class travels into pool workers."""

    def secret(self, name: str) -> str | None:
        """A secret by its name, None when there is none."""

    def graph(self) -> Any:
        """The definition of what the current run runs, as a document; None outside of a run."""


class ExposedSecrets:
    """The values of the secrets that the tasks of this process's run are given. Shows none of them.

    The host takes them out of the environment after each task, so they are looked up before the first one. They travel
    into pool workers, which cannot look them up any more.
    """

    def __init__(self, vault: SecretLookup) -> None:
        self._vault = vault
        self._values: dict[str, str] = {}
        self._has_looked = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sorted(self._values)})"

    def learn(self, names: Iterable[str]) -> None:
        """Look secrets up; one that is not to be had is passed over."""
        for name in set(names) - set(self._values):
            value = self._vault.secret(name)
            if value is not None:
                self._values[name] = value

    def learn_of_context(self) -> None:
        """Look up those of the run that this process is about to take part in, the first time."""
        if self._has_looked:
            return
        self._has_looked = True
        self.learn(names_in(self._vault.graph()))

    def marks_in(self, document: Any, run_id: str) -> list[SecretFingerprint]:
        """The marks of those that stand in a document, in whatever spelling, and of what JSON makes of these.

        What is no scalar leaves as JSON (`runlog_otel.core.trace.parameter_attributes`).
        """
        spellings = set(self._spellings())
        found: set[str] = set()
        for text in _texts(document) if spellings else ():
            found |= {value for value in spellings - found if value in text}
        found |= {json.dumps(value, ensure_ascii=False)[1:-1] for value in found}
        return sorted(fingerprint_of(value, run_id) for value in found)

    def masked(self, text: str) -> str:
        """The text without any of them, wherever a line of it was wrapped."""
        for value in sorted(set(self._spellings()), key=len, reverse=True):
            words = value.split()
            if len(words) > 1 and all(any(map(str.isalnum, word)) for word in words):  # else it may take for ever
                text = re.sub(_BETWEEN_WORDS.join(map(re.escape, words)), MASK, text)
            text = text.replace(value, MASK)
        return text

    def _spellings(self) -> Iterator[str]:
        for value in self._values.values():
            yield from (spelling for spelling in _spellings_of(value) if len(spelling) >= _SHORTEST)


def _spellings_of(value: str) -> Iterator[str]:
    """How a value is written by programs that do not mean to hide it: in URLs, JSON, Python, HTML, base64."""
    yield from (value, value.strip(), html.escape(value))
    for quoted in (repr, json.dumps, partial(json.dumps, ensure_ascii=False)):
        escaped = quoted(value)[1:-1]
        yield from (escaped, quoted(escaped)[1:-1])  # a document within a document, the text of a KeyError
    data = value.encode("utf-8", "surrogatepass")
    yield from (how(data, safe=safe) for how in (quote, quote_plus) for safe in ("", "/"))
    for before in range(3):  # bytes of a group of three that belong to something else, as a user's name does
        whole = slice((before * 8 + 5) // 6, (before + len(data)) * 8 // 6)
        yield from (how(bytes(before) + data).decode()[whole] for how in _BASE64)


def names_in(document: Any) -> Iterator[str]:
    """The names of secrets that the tasks of a definition list (`runnable.tasks.BaseTaskType.secrets`)."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key == "secrets" and isinstance(value, list):
                yield from map(str, value)
            else:
                yield from names_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from names_in(value)


def mask_what_the_host_prints(function: str, config: Mapping[str, Any], known: Container[str]) -> None:
    """Mask a store's config that is wrong: the host prints it as it stands in the function that makes services.

    Args:
        function: `get_service_by_name` (`runnable.context`), `get_provider_by_name_and_type` (`magnus.utils`).
        config: what the store was given.
        known: the keys that it may have; the value of any other one is masked whatever it is.
    """
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back  # type: ignore[assignment]
    printed = frame.f_locals.get("service_config") if frame is not None else None
    if not isinstance(printed, dict) or printed.keys() != config.keys():  # those of a store around this one
        return
    mask_in_place(printed)
    printed.update({key: MASK for key in printed if key not in known})


def _texts(document: Any) -> Iterator[str]:
    """Every text in a document, names included."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set):
            waiting += part
