"""Finds a host's function among the callers of this one: what a host knows, and does not pass on."""

import sys
from collections.abc import Container
from types import CodeType, FrameType


def frame_of(functions: Container[CodeType]) -> FrameType | None:
    """The innermost frame in which one of the functions runs; None if none of them does."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code not in functions:
        frame = frame.f_back
    return frame
