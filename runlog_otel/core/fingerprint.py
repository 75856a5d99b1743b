"""The fingerprint of a failure: equal for the same failure in other runs, on other machines, in other folders.

It is made of the error's type and its place: file name and function of the innermost frame of the user's own code. Line
numbers, messages and folders are no part of it. Without a frame of the user's own code the step is part of it.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from runlog_otel.core.failure import Failure

_PYTHON_FRAME = r"^[ |+]*File \"(?P<file>[^\"\n]+)\", line \d+(?:, in (?P<function>[^\n]+))?$"
_RICH_FRAME = r"^(?P<drawn>\S[^\n]*?):\d+ in (?P<named>[^\n]+)$"
"""As Rich draws a frame, where the message is from an execution log (`failure.message_from_log`)."""
_CELL_FRAME = r"^(?P<cell>Cell In) ?\[\d+\], line \d+(?:, in (?P<celled>[^\n(]+)(?:\([^\n]*)?)?$"
"""As IPython writes a frame of a notebook."""
_FRAME = re.compile(f"{_PYTHON_FRAME}|{_RICH_FRAME}|{_CELL_FRAME}", re.MULTILINE)
_CHAIN = re.compile(
    r"\n\n[ |]*(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\n\n"
)
_HEADER = re.compile(r"^Traceback \(most recent call last\):\n", re.MULTILINE)
_END = re.compile(r"^(?:\S|[ |]*\| \S)", re.MULTILINE)
"""Where the frames of an exception end, and its type and message begin: frames are indented, also those of a group."""
_MESSAGE_START = 200
"""Characters of a message that find it in its traceback, which has less of a long one."""
_PACKAGES = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_STANDARD_LIBRARY = re.compile(
    r"[/\\](?:lib|lib64)[/\\]python\d[\d.]*t?[/\\]|[/\\]python[\d.]*[/\\]lib[/\\]", re.IGNORECASE
)
_NO_FILE = re.compile(r"<(?!ipython-input).*>\Z|\Z")
_KERNEL_FILE = re.compile(r"[/\\]ipykernel_\d+[/\\]|<ipython-input|\ACell In\Z")
_INLINED = ("<listcomp>", "<dictcomp>", "<setcomp>")
"""Frames that Python has no more since 3.12: their place is the function around them."""
_NOTEBOOK = "notebook cell"
_MODULE = "<module>"
_HOSTS = ("runnable", "extensions", "magnus", "runlog_otel")
"""The packages whose frames are outside of the user's code, when the host itself fails."""


class Fingerprint(NamedTuple):
    """What identifies a failure across runs."""

    error_type: str
    """An exception's without its module, which is `__main__` in some processes and not in others."""
    file: str = ""
    """The file's name, without its folder; empty without a traceback."""
    function: str = ""
    step: str = ""
    """The step's name, if no frame is of the user's own code; the steps in progress, if the run was broken off."""

    @property
    def id(self) -> str:
        """A digest of all parts, as 16 hexadecimal digits."""
        return hashlib.sha256("\0".join(self).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def place(self) -> str:
        """Where it failed, for people: `publish.py in upload`, or the step's name."""
        where = self.file if self.function in ("", _MODULE) else f"{self.file} in {self.function}"
        return ", ".join(part for part in (where, f"step {self.step}" if self.step else "") if part)


class Frame(NamedTuple):
    """A frame of a traceback."""

    path: str
    function: str

    @property
    def package(self) -> str:
        """The installed package that its file belongs to; empty for other files."""
        parts = _PACKAGES.split(self.path)
        return re.split(r"[/\\]", parts[-1])[0] if len(parts) > 1 else ""

    @property
    def is_library(self) -> bool:
        """Whether the file is of the standard library, an installed package, or none at all."""
        is_known = _PACKAGES.search(self.path) or _STANDARD_LIBRARY.search(self.path) or _NO_FILE.match(self.path)
        return is_known is not None

    @property
    def file(self) -> str:
        """The file's name; that of a notebook's cell changes with each run, and is `notebook cell`."""
        return _NOTEBOOK if _KERNEL_FILE.search(self.path) else re.split(r"[/\\]", self.path)[-1]


def fingerprint_of(failure: Failure, step: str = "") -> Fingerprint:
    """The fingerprint of a parsed failure.

    Args:
        failure: as `failure.failure_from_message` parses it; all of its traceback that the log has should be there.
        step: the step's name, without iterations. It counts only if no frame is of the user's own code.
    """
    said = f"\n{failure.exception}: {failure.message[:_MESSAGE_START]}" if failure.message else ""
    end = failure.stacktrace.rfind(said) if said else -1
    stack = failure.stacktrace if end < 0 else failure.stacktrace[: end + 1]
    error_type = failure.type.rpartition(".")[2] if failure.exception else failure.type
    if own := own_frame(stack):
        return Fingerprint(error_type, own.file, own.function)
    inner = next(_innermost_first(stack), None)
    return Fingerprint(error_type, inner.file, inner.function, step) if inner else Fingerprint(error_type, step=step)


def own_frame(stacktrace: str) -> Frame | None:
    """The innermost frame of the user's own code; None without one.

    It is looked for in the traceback of the exception that was raised last, then in those that it was raised from. If
    all frames are of installed packages, the package of the outermost frame is the user's own, unless it is the host.
    """
    if own := next((frame for frame in _innermost_first(stacktrace) if not frame.is_library), None):
        return own
    packages = (frame.package for frame in _frames(_CHAIN.split(stacktrace)[-1]))
    package = next(packages, "")
    if not package or package in _HOSTS:
        return None
    return next(frame for frame in _innermost_first(stacktrace) if frame.package == package)


def _innermost_first(stacktrace: str) -> Iterator[Frame]:
    """All frames, those of the exception that was raised last first."""
    for part in reversed(_CHAIN.split(stacktrace)):
        yield from reversed(list(_frames(part)))


def _frames(traceback: str) -> Iterator[Frame]:
    """The frames of one exception, outermost first; of a group its own, and not those of its parts."""
    text = _HEADER.sub("", traceback).lstrip("\n")
    is_pythons = text.startswith(" ")
    for match in _FRAME.finditer(_END.split(text, maxsplit=1)[0] if is_pythons else text):
        function = (match["function"] or match["named"] or match["celled"] or _MODULE).strip()
        if function not in _INLINED:
            yield Frame(match["file"] or match["drawn"] or match["cell"], function)
