"""Why an attempt failed, as the text of `attempt.message`: written for people, and parsed for spans. Pure.

    ValueError: no more rows        exit status 3             killed by signal 9
                                    cp: no such file
    Traceback (most recent call last):
      File "pipeline.py", line 12, in explode
    ...

The log is the only source of a span, so type, message and stack trace are parsed from this text, live and on replay.
Patterns are compiled by `re` at first use: a step that succeeds needs none.
"""

import re
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from runlog_otel.core import semconv
from runlog_otel.core.redaction import bounded, redacted

MESSAGE_BYTES = semconv.MAX_ATTRIBUTE_BYTES
STACKTRACE_BYTES = 8 * 1024
"""In the log; in a span it is an attribute, with the limit of all attributes. The outermost frames are cut."""

_WINDOW = 16 * 1024
"""The most characters of a message, a traceback or an output that are read."""
_LAST_LINE = 500
_TRACEBACK_COLUMNS = 100
"""The widest traceback that Rich draws."""
_CUT = "…"
_HEADER = "Traceback (most recent call last):\n"
_NAME = r"[^\W\d][\w.<>]*"
_EXCEPTION = rf"(?P<type>{_NAME})(?:: (?P<message>.*?))?\n\n(?P<stack>{re.escape(_HEADER)}.*)"
_EXIT = r"(?:exit status (?P<code>[0-9]{1,10})|killed by signal (?P<signal>[0-9]{1,10}))(?=\n|\Z)"
_BOX_END = rf"^╰─+╯\n(?P<type>{_NAME})(?:: (?P<message>.*?))?(?=\n\n|\Z)"
_BOX_LINE = r"^│ (.*?) *│$"
_CAUSED = "\n\nThe above exception was the direct cause of the following exception:\n\n"
_HOSTS_OWN = "\nCommandCallError: "
_PARAMETERS = (
    r"^.{11}Parameters available for the execution:.*\n(?:\[[\d:]{8}\] \{.*\n?)?(?: {11}.*\n?)*"
    r"|\A(?: {11}.*(?:\n|\Z))+"
)

Redact = Callable[[str], str]


class Failure(NamedTuple):
    """A parsed message: `type` has low cardinality (an exception's name, `exit_3`, `signal_9`, or `_OTHER`)."""

    type: str
    message: str
    stacktrace: str = ""
    exit_code: int | None = None
    exception: str = ""
    """The exception's name, if it was one."""

    @property
    def description(self) -> str:
        """One text: the exception's message, or the exit status and the end of the output."""
        return self.message or self.exception


def failure_from_message(message: str, redact: Redact = redacted, limit: int = semconv.MAX_ATTRIBUTE_BYTES) -> Failure:
    """Parse the message of a failed attempt, whoever wrote it; each part is redacted, then cut to `limit` bytes."""
    text = message.strip()
    if exception := re.fullmatch(_EXCEPTION, text, re.DOTALL):
        stack = _end_of_stack(redact(exception["stack"]), limit)
        name, text = bounded(exception["type"], limit), bounded(redact(exception["message"] or ""), limit)
        return Failure(name, text, stack, exception=name)
    if end := re.match(_EXIT, text):
        kind = f"exit_{end['code']}" if end["code"] else f"signal_{end['signal']}"
        return Failure(kind, bounded(redact(text), limit), exit_code=int(end["code"]) if end["code"] else None)
    return Failure(semconv.OTHER_ERROR, bounded(redact(text), limit))


def message_from_exception(error: BaseException, trace: TracebackType | None, redact: Redact = redacted) -> str:
    """The message for an exception.

    Args:
        error: the exception.
        trace: where to begin its traceback, which may start with frames of the host.
        redact: masks secrets.
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    summary = traceback.TracebackException(kind, error, trace)
    last = "".join(summary.format_exception_only())
    stack = "".join(summary.format()).removesuffix(last)
    return _message(name, _text(error), stack + redact(last[:_WINDOW])[:_LAST_LINE], redact)


def message_from_exit(status: int, output: str, redact: Redact = redacted) -> str:
    """The message for a program whose exit status is not 0; `output` is its stderr.

    A negative status is the number of the signal that killed it (`subprocess.Popen.returncode`).
    """
    head = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    text = redact(output[-_WINDOW:].strip())
    return f"{head}\n{end_of_text(text, MESSAGE_BYTES - len(head) - 1)}".strip()


def message_from_log(text: str, redact: Redact = redacted) -> str:
    """The message from an execution log, as a last resort: the last exception drawn in it, else its end.

    Rich wraps lines and shortens tracebacks, so this has less detail than `message_from_exception`.
    """
    text = without_parameters(text)
    parts = text.split(_CAUSED)
    if len(parts) > 1 and _HOSTS_OWN in parts[-1]:
        text = parts[-2]
    boxes = list(re.finditer(_BOX_END, text, re.DOTALL | re.MULTILINE))
    if not boxes:
        return end_of_text(redact(text.strip()), MESSAGE_BYTES)
    last = boxes[-1]
    drawn = text[text.rfind("╭─", 0, last.start()) : last.start()]
    lines = "\n".join(line.rstrip() for line in re.findall(_BOX_LINE, drawn, re.MULTILINE))
    return _message(last["type"], last["message"] or "", f"{lines}\n{last[0].partition(chr(10))[2]}", redact)


def unfolded(text: str, width: int) -> str:
    """An execution log in which lines are joined that Rich folded within a word, at the console's width (10 at least).

    A secret in two pieces would not be recognised. A word that Rich folds fills lines of its own. A program's own word
    of exactly that width is also joined with the next one, unless either is a secret by itself.
    """
    for columns in {width, min(width, _TRACEBACK_COLUMNS)}:
        plain = rf"(?<=^(?![│╭╰]|\[\d\d:)\S{{{columns}}})\n(?=[^\s│╭╰])"
        boxed = rf"(?<=^│ [^│\n]{{{columns - 5}}}[^│╯\s]) │\n│ (?=[^\s│❱])"
        text = re.sub(f"{plain}|{boxed}", _joined, text, flags=re.MULTILINE)
    return text


def _joined(fold: re.Match[str]) -> str:
    """Nothing where two pieces are joined, else what is between them."""
    text = fold.string
    before = re.split(r"\s", text[text.rfind("\n", 0, fold.start()) + 1 : fold.start()])[-1]
    after = re.split(r"\s", text[fold.end() : fold.end() + _WINDOW], maxsplit=1)[0]
    has_own = _is_secret(after) or (_is_secret(before) and not _is_secret(before + after))
    return fold[0] if has_own else ""


def _is_secret(word: str) -> bool:
    return redacted(word) != word


def without_parameters(text: str) -> str:
    """An execution log without the values of parameters, which the host writes at its top (`BaseTaskType`).

    Rich indents them, or prefixes the time if a second has passed since the line above. A log that was cut may begin
    in the middle of them.
    """
    return re.sub(_PARAMETERS, "", text, flags=re.MULTILINE)


def end_of_text(text: str, limit: int) -> str:
    """The last `limit` bytes of a text as UTF-8."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return _CUT + data[len(_CUT.encode()) - limit :].decode("utf-8", "ignore")


def _message(name: str, message: str, stack: str, redact: Redact) -> str:
    stack = stack if stack.startswith(_HEADER) else _HEADER + stack
    message = bounded(redact(message[:_WINDOW].strip()), MESSAGE_BYTES)
    head = f"{name}: {message}" if message else name
    return f"{head}\n\n{_end_of_stack(redact(stack[-_WINDOW:].rstrip()), STACKTRACE_BYTES)}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 any exception may have a broken __str__
        return ""


def _end_of_stack(stack: str, limit: int) -> str:
    """The innermost frames, in whole lines, under the header."""
    if stack.startswith(_HEADER) and len(stack.encode("utf-8", "replace")) <= limit:
        return bounded(stack, limit)
    end = end_of_text(stack.removeprefix(_HEADER), limit - len(_HEADER) - 8)
    return f"{_HEADER}  {_CUT}\n{end.partition(chr(10))[2] or end}"
