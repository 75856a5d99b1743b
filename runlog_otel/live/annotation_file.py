"""The file in which programs that an attempt starts, and processes that it forks, say something of the attempt.

A shell appends lines `key=value`. This package appends JSON lists, which also carry events: `[key, value]` and
`[time in nanoseconds, name, {key: value}]`.
"""

import functools
import json
import os
import stat
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, Concatenate, ParamSpec, TypeVar

from runlog_otel.core.attributes import json_text
from runlog_otel.core.model import AttemptEvent, Value
from runlog_otel.loggers import package_logger

VARIABLE = "RUNNABLE_ANNOTATIONS"
"""Names the file; the prefix is that of the variables which a shell step of runnable hands on to its program."""
WINDOW = 16 * 1024
"""The most characters of a text that are read; a longer text is one character longer than this."""
_FILE_BYTES = 1024 * 1024
_ITEMS = 256
"""The most texts of a list."""

Annotation = tuple[str, Any]
_P = ParamSpec("_P")
_R = TypeVar("_R", bound="Recorder")


class Recorder:
    """Says once what it does not record."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def refuse(self, problem: str) -> None:
        """Log why something is not recorded, if that was not logged before."""
        if problem not in self._refused:
            self._refused.add(problem)
            package_logger().warning("an annotation or event of a step is not recorded: %s", problem)


def never_raising(method: Callable[Concatenate[_R, _P], None]) -> Callable[Concatenate[_R, _P], None]:
    """The values are the code's own: whatever they raise, the step goes on."""

    @functools.wraps(method)
    def guarded(recorder: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(recorder, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 see above
            recorder.refuse(f"{type(error).__name__} was raised")

    return guarded


class AnnotationFile(Recorder):
    """A file of annotations, for whoever has its path."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    @classmethod
    def made(cls) -> "AnnotationFile":
        """A new file, which only its owner can read; without one if it cannot be made.

        At the latest it is removed when the process ends, as the host may raise before it records the attempt.
        """
        path = os.path.join(tempfile.gettempdir(), f"runlog-otel-{os.urandom(8).hex()}")  # noqa: PTH118 an eighth of its time
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError:
            return cls("")
        made = cls(path)
        weakref.finalize(made, _remove, path, os.getpid())
        return made

    @property
    def variables(self) -> Mapping[str, str | None]:
        """What tells programs of the file."""
        return {VARIABLE: self._path or None}

    @never_raising
    def annotate(self, name: str, value: Any) -> None:
        """Say `name` of the attempt."""
        self._append([name, plain(value)])

    @never_raising
    def event(self, name: str, attributes: Mapping[str, Any], time_ns: int | None = None) -> None:
        """Say that something happened."""
        values = {str(key): plain(value) for key, value in attributes.items()}
        self._append([time.time_ns() if time_ns is None else time_ns, name, values])

    def taken(self) -> Iterator[Annotation | AttemptEvent]:
        """What the file says, once; it is removed."""
        lines: list[str] = []
        with suppress(OSError):
            if os.stat(self._path).st_size:  # noqa: PTH116 most are empty
                lines = _start_of(self._path).split("\n")
        _remove(self._path, os.getpid())
        self._path = ""
        return filter(None, map(_item, lines))

    def _append(self, item: list[Any]) -> None:
        """Append to the file, unless the attempt has ended: then there is none."""
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            try:
                os.write(descriptor, json.dumps(item).encode() + b"\n")  # at once: other processes write as well
            finally:
                os.close(descriptor)


def plain(value: Any) -> Value | None:
    """A value as an attribute may have it: a scalar, a list of texts; of other values their JSON, or their text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value[: WINDOW + 1]
    if isinstance(value, Integral):  # also NumPy's
        return number if -(2**63) <= (number := int(value)) < 2**63 else str(number)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(part[: WINDOW + 1] for part in value[:_ITEMS])
    return (json_text(value) if isinstance(value, list | tuple | Mapping) else str(value))[: WINDOW + 1]


def _start_of(path: str) -> str:
    """The lines in the first MiB of a file, if the code has not made anything else of it."""
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return ""
        data = file.read(_FILE_BYTES + 1)
    whole = data if len(data) <= _FILE_BYTES else data[: data.rfind(b"\n") + 1]
    return whole.decode("utf-8", "replace")


def _remove(path: str, process: int) -> None:
    """Remove the file, but not in a process that the one which made it has forked."""
    if os.getpid() == process:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 a third of the time of a `Path`


def _opened(path: str, flags: int) -> int:
    """Neither follow a link nor wait for a FIFO."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _item(line: str) -> Annotation | AttemptEvent | None:
    if line.startswith("["):
        match _json(line):
            case [str(name), value]:
                return name, value
            case [int(time_ns), str(name), dict(attributes)]:
                return AttemptEvent(time_ns, name, attributes)
    name, equals, text = line.partition("=")
    if not equals:
        return None
    value = _json(text)
    return name.strip(), value if isinstance(value, str | bool | int | float) else text.strip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
