"""The OTEL_* environment variables that are settings of ours, and how their values are written. Pure.

Sources: the OpenTelemetry specification, "OTLP Exporter Configuration" and "Environment Variable Specification".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

# Compiled at first use, as are those in `addresses`: 1 ms less for a process that sets no headers.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110, section 5.6.2
_HEADER_VALUE = r"[\t\x20-\x7e]*"
_STRAY_PERCENT = r"%(?![0-9A-Fa-f]{2})"


class Setting(NamedTuple):
    """The value of a variable for a field; `problems` say which parts are invalid."""

    field: str
    variable: str
    value: Any
    problems: tuple[str, ...] = ()


_Parse = Callable[[str], tuple[Any, tuple[str, ...]]]


def settings_in(environ: Mapping[str, str]) -> Iterator[Setting]:
    """The variables that are set; of those of one field, the one that wins comes first."""
    for field, parse, *variables in _VARIABLES:
        for variable in variables:
            raw = environ.get(variable, "").strip()
            if not is_utf8(raw):
                yield Setting(field, variable, None, ("is ignored: it must be UTF-8",))
            elif raw:
                value, problems = parse(raw)
                yield Setting(field, variable, value, problems)


def is_utf8(text: str) -> bool:
    """Whether every character can be sent and shown; bytes that are not UTF-8 are lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def header_problem(name: str, value: str) -> str:
    """Why this is not a header, without showing any of it; empty if it is one."""
    if not re.fullmatch(_HEADER_NAME, name):
        return "its name must be letters, digits and hyphens; write name=value, not name: value"
    if not re.fullmatch(_HEADER_VALUE, value):
        return "its value must be printable ASCII in one line"
    return ""


def _pairs(raw: str, problem_of: Callable[[str, str], str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """`key=value,key=value` with percent-encoded values (W3C Baggage); invalid pairs are skipped and reported."""
    pairs: dict[str, str] = {}
    problems = []
    for number, pair in enumerate(raw.split(","), 1):
        name, separator, value = (part.strip() for part in pair.partition("="))
        if not name and not separator:
            continue
        try:
            if not (name and separator):
                raise ValueError("has no '='; write name=value, not name: value")
            decoded = _decoded(name), _decoded(value)
            problem = problem_of(*decoded)
        except ValueError as error:
            problem = str(error)
        if problem:
            problems.append(f"pair {number} is ignored: {problem}")
        else:
            pairs[decoded[0]] = decoded[1]
    return pairs, tuple(problems)


def _decoded(text: str) -> str:
    if re.search(_STRAY_PERCENT, text):
        raise ValueError("a '%' must be followed by two hexadecimal digits; write %25 for the sign itself")
    try:
        return unquote(text, errors="strict").strip()
    except UnicodeDecodeError:
        raise ValueError("what is percent-encoded must be UTF-8") from None


def headers_from_text(raw: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Headers as `OTEL_EXPORTER_OTLP_HEADERS` has them, and a sentence for each pair that is wrong."""
    return _pairs(raw, header_problem)


def _attributes(raw: str) -> tuple[Any, tuple[str, ...]]:
    return _pairs(raw, lambda name, value: "")


def _text(raw: str) -> tuple[Any, tuple[str, ...]]:
    return raw, ()


def _lower(raw: str) -> tuple[Any, tuple[str, ...]]:
    return raw.lower(), ()


def _names(raw: str) -> tuple[Any, tuple[str, ...]]:
    """A list of names without repetitions; `none` among them stands for an empty one."""
    names = tuple(dict.fromkeys(name.strip() for name in raw.lower().split(",") if name.strip()))
    return () if "none" in names else names, ()


def _flag(raw: str) -> tuple[Any, tuple[str, ...]]:
    problems = () if raw.lower() in ("true", "false") else ("is taken for false: must be true or false",)
    return raw.lower() == "true", problems


def _inverted_flag(raw: str) -> tuple[Any, tuple[str, ...]]:
    value, problems = _flag(raw)
    return not value, problems


def _seconds(raw: str) -> tuple[Any, tuple[str, ...]]:
    try:
        return float(raw) / 1000, ()
    except ValueError:
        return raw, ()


def _otlp(name: str) -> tuple[str, str]:
    """The variable for traces, that wins, and the general one."""
    return f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"


_VARIABLES: tuple[tuple[Any, ...], ...] = (
    ("protocol", _lower, *_otlp("PROTOCOL")),  # before the endpoint, which has to fit it
    ("headers", headers_from_text, *_otlp("HEADERS")),
    ("timeout_seconds", _seconds, *_otlp("TIMEOUT")),
    ("compression", _lower, *_otlp("COMPRESSION")),
    ("certificate", _text, *_otlp("CERTIFICATE")),
    ("client_key", _text, *_otlp("CLIENT_KEY")),
    ("client_certificate", _text, *_otlp("CLIENT_CERTIFICATE")),
    ("insecure", _flag, *_otlp("INSECURE")),
    ("exporter", _text, "OTEL_TRACES_EXPORTER"),
    ("endpoint", _text, TRACES_ENDPOINT, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("service", _text, "OTEL_SERVICE_NAME"),
    ("resource", _attributes, "OTEL_RESOURCE_ATTRIBUTES"),
    ("exceptions", _lower, "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"),
    ("propagators", _names, "OTEL_PROPAGATORS"),
    ("enabled", _inverted_flag, "OTEL_SDK_DISABLED"),
)
