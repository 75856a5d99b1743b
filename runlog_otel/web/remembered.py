"""A bounded memory of what was read: safe between threads, the least recently used goes first."""

import threading
import time
from collections import OrderedDict
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Remembered(Generic[_Key, _Value]):
    """At most `size` values."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()
        self._lock = threading.Lock()

    def __setitem__(self, key: _Key, value: _Value) -> None:
        with self._lock:
            self._values[key] = (time.monotonic(), value)
            self._values.move_to_end(key)
            if len(self._values) > self._size:
                self._values.popitem(last=False)

    def get(self, key: _Key) -> _Value | None:
        """The value, however old; None if it is not remembered."""
        known = self.fresh(key, float("inf"))
        return known[0] if known else None

    def fresh(self, key: _Key, seconds: float) -> tuple[_Value] | None:
        """The value if it was set in the last `seconds`, in a tuple, as it may be None."""
        with self._lock:
            known = self._values.get(key)
            if known is None or time.monotonic() - known[0] > seconds:
                return None
            self._values.move_to_end(key)
            return (known[1],)
