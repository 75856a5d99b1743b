"""The attributes of parameters and of code identities, with the raw values of the log."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.model import CodeIdentity, Scalar
from runlog_otel.core.redaction import Redaction, RedactionPolicy, url_without_credentials

_INT64 = range(-(2**63), 2**63)
_MAX_DEPTH = 200
"""The deepest nesting of a parameter's value that is exported."""
_CUT = "…"


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
            if text := _json(value):
                parts = "\0".join((namespace, name, redaction(text)))
                digest = hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]
                yield digest_name.format(name=name), digest


def code_attributes(identities: tuple[CodeIdentity, ...]) -> dict[str, Scalar]:
    """Which code ran, in the conventions' names where they have one."""
    attributes: dict[str, Scalar] = {}
    for code in identities:
        if not code.identifier:
            continue
        if code.kind == "git":
            attributes[semconv.VCS_REVISION] = code.identifier
            attributes[semconv.VCS_REPOSITORY] = url_without_credentials(code.url)
            attributes[semconv.CODE_IS_CLEAN] = code.is_dependable
        elif code.kind == "docker":
            is_digest = code.identifier.startswith("sha256:")
            attributes[semconv.IMAGE_ID if is_digest else semconv.IMAGE_NAME] = code.identifier
        else:
            attributes[semconv.CODE_IDENTITY.format(type=code.kind)] = code.identifier
    return attributes


def _scalar(value: Any) -> Scalar:
    """A scalar as it is, any other value as its JSON text."""
    is_scalar = isinstance(value, bool | float | str) or (isinstance(value, int) and value in _INT64)
    return value if is_scalar else _json(value) or _CUT


def _json(value: Any) -> str:
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
