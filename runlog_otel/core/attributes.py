"""Attributes and events of parts of a log, with its raw values: `span_factory.SpanFactory` sanitises them."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.failure import Failure
from runlog_otel.core.model import AttemptEvent, CodeIdentity, Facts, Scalar, Value
from runlog_otel.core.redaction import MASK, Redaction, RedactionPolicy, is_secret_name, url_without_credentials

RawEvent = tuple[str, int, Mapping[str, Value]]
"""Name, time and attributes of an event, before it is sanitised."""

_INT64 = range(-(2**63), 2**63)
_MAX_DEPTH = 200
"""The deepest nesting of a parameter's value that is exported."""
_CUT = "…"
_GIT = "git"
_REMOTE = (
    r"(?P<scheme>https?|ssh|git|git\+ssh)://(?:[^/]*@)?"
    r"(?P<host>(?P<name>[\w.-]+|\[[\da-fA-F:]+\])(?::\d+)?)/(?P<path>.*)"
)
_SSH_REMOTE = r"(?:[^/@:]*@)?(?P<name>[\w.-]{2,}):(?P<path>(?!//).*)"
"""As ssh has it; a shorter name is a drive of Windows."""


def parameter_attributes(
    inputs: Mapping[str, Any], outputs: Mapping[str, Any], policy: RedactionPolicy, redaction: Redaction, namespace: str
) -> Iterator[tuple[str, Scalar]]:
    """Values of the allowed parameters, and digests of all parameters if they are enabled.

    A digest is of the redacted value: a short secret could be guessed from its digest.
    """
    limit = policy.limit(semconv.MAX_PARAMETERS)
    for value_name, digest_name, values in (
        (semconv.INPUT_VALUE, semconv.INPUT_DIGEST, inputs),
        (semconv.OUTPUT_VALUE, semconv.OUTPUT_DIGEST, outputs),
    ):
        allowed = ((name, value) for name, value in values.items() if policy.allows(name))
        for name, value in islice(allowed, limit):
            yield value_name.format(name=name), _scalar(value)
        for name, value in islice(values.items(), limit if policy.has_digests else 0):
            if text := json_text(value):
                parts = "\0".join((namespace, name, redaction(text)))
                digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]
                yield digest_name.format(name=name), digest


def code_attributes(identities: Iterable[CodeIdentity]) -> dict[str, Value]:
    """Which code ran, in the conventions' names where they have one."""
    attributes: dict[str, Value] = {}
    for code in identities:
        if not code.identifier:
            continue
        if code.kind == _GIT:
            attributes[semconv.VCS_REVISION] = code.identifier
            attributes[semconv.VCS_REPOSITORY] = browser_url(code.url)
            attributes[semconv.CODE_IS_CLEAN] = code.is_dependable
        elif code.kind == "docker":
            attributes |= _image_attributes(code.identifier)
        else:
            attributes[semconv.CODE_IDENTITY.format(type=code.kind)] = code.identifier
    return attributes


def vcs_attributes(identities: Iterable[CodeIdentity]) -> dict[str, Value]:
    """Which commit ran, if all of the identities agree on it; it is clean if it was in all of them."""
    commits = [code for code in identities if code.kind == _GIT]
    if len({(code.identifier, code.url) for code in commits}) != 1:
        return {}
    return code_attributes([commits[0]._replace(is_dependable=all(code.is_dependable for code in commits))])


@lru_cache(16)  # the attempts of a run share theirs
def browser_url(remote: str) -> str:
    """The address of a git remote's pages: https, without credentials, query and `.git`; empty if it has none.

    Source: the registry's note on `vcs.repository.url.full`.
    """
    address = url_without_credentials(remote.strip())
    match = re.fullmatch(_REMOTE, address) or re.fullmatch(_SSH_REMOTE, address)
    path = match["path"].strip("/").removesuffix(".git") if match else ""
    if match is None or not path:
        return ""
    scheme = match.groupdict().get("scheme", "")
    return f"{scheme}://{match['host']}/{path}" if scheme.startswith("http") else f"https://{match['name']}/{path}"


def fact_attributes(facts: Facts, policy: RedactionPolicy) -> dict[str, Value]:
    """What only the process knew of an attempt."""
    return annotation_attributes(facts.annotations, policy) | dict(facts.attributes)


def annotation_attributes(
    annotations: Mapping[str, Value], policy: RedactionPolicy, limit: int = semconv.MAX_ANNOTATIONS
) -> dict[str, Value]:
    """What the code of an attempt said; the value of what is named like a secret is masked."""
    limited = islice(annotations.items(), policy.limit(limit))
    return {name: MASK if is_secret_name(name) and not policy.is_unlimited else value for name, value in limited}


def events_of_code(events: tuple[AttemptEvent, ...], policy: RedactionPolicy) -> tuple[RawEvent, ...]:
    """The events that the code of an attempt reported."""
    limit = semconv.MAX_EVENT_ATTRIBUTES
    return tuple(
        (event.name, event.time_ns, annotation_attributes(event.attributes, policy, limit))
        for event in islice(events, policy.limit(semconv.MAX_EVENTS))
    )


def metric_attributes(metrics: Mapping[str, Scalar], policy: RedactionPolicy) -> dict[str, Value]:
    """User-defined metrics."""
    limited = islice(metrics.items(), policy.limit(semconv.MAX_METRICS))
    return {semconv.METRIC.format(name=name): value for name, value in limited}


def failure_attributes(failure: Failure) -> dict[str, Value]:
    """Why an attempt failed."""
    exit_code = {} if failure.exit_code is None else {semconv.PROCESS_EXIT_CODE: failure.exit_code}
    return {semconv.ERROR_TYPE: failure.type, **exit_code}


def exception_event(failure: Failure, at_ns: int) -> RawEvent:
    """A failure as an event; only an exception has a type."""
    attributes = {
        semconv.EXCEPTION_TYPE: failure.exception,
        semconv.EXCEPTION_MESSAGE: failure.message,
        semconv.EXCEPTION_STACKTRACE: failure.stacktrace,
    }
    return semconv.EXCEPTION_EVENT, at_ns, {name: text for name, text in attributes.items() if text}


def _image_attributes(image: str) -> dict[str, Value]:
    """A container image: its id, or its name as `name:tag@digest`."""
    if image.startswith("sha256:"):
        return {semconv.IMAGE_ID: image}
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")  # the colon before a port stands in the first part
    tags = {semconv.IMAGE_TAGS: (tag,)} if tag else {}
    return {
        semconv.IMAGE_NAME: folder + slash + last,
        **tags,
        **({semconv.IMAGE_DIGEST: digest} if digest else {}),
    }


def _scalar(value: Any) -> Scalar:
    """A scalar as it is, any other value as its JSON text."""
    is_scalar = isinstance(value, bool | float | str) or (isinstance(value, int) and value in _INT64)
    return value if is_scalar else json_text(value) or _CUT


def json_text(value: Any) -> str:
    """A value as JSON text; empty if JSON cannot represent it, or if it is nested too deeply."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        nests = [part for part in level if isinstance(part, dict | list | tuple)]
        level = [inner for part in nests for inner in (part.values() if isinstance(part, dict) else part)]
        if not nests:
            break
    try:
        return "" if level else json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""
