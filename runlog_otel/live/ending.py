"""How an execution ended that its host broke off, by the exception that left the host.

No signal handler is installed: without one of the program's own, SIGTERM ends it unseen, as SIGKILL does.
"""

import asyncio
import signal
import time
import traceback

from runlog_otel.core.failure import Redact, message_from_exception
from runlog_otel.core.model import Ending
from runlog_otel.core.trace import Result

_DEADLINES = frozenset(
    number for name in ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU") if (number := getattr(signal, name, None))
)
"""What a timer, or the kernel's limit of CPU time, sends."""


def ending_from(error: BaseException, execution: int, redact: Redact) -> Ending:
    """The ending of an execution whose host raised; the exception is its evidence.

    Args:
        error: what the host raised; its outermost frame is ours.
        execution: the number of the execution.
        redact: masks secrets.
    """
    trace = error.__traceback__ and error.__traceback__.tb_next
    result = interruption(error) or Result.ERROR
    at_ns = time.time_ns() // 1000 * 1000  # as exact as the other times of a log
    return Ending(execution, result.value, at_ns, message=message_from_exception(error, trace, redact))


def interruption(error: BaseException) -> Result | None:
    """What interrupted the code that raised: `cancellation` or `timeout`; None for an error of its own.

    An exception that a handler of a signal raised has the handler's frame in its traceback.
    """
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    signals = {number for number, code in _handlers().items() if code in codes}
    if signals:
        return Result.TIMEOUT if signals <= _DEADLINES else Result.CANCELLATION
    return Result.CANCELLATION if isinstance(error, KeyboardInterrupt | asyncio.CancelledError) else None


def _handlers() -> dict[int, object]:
    """The code of each signal's handler that is a function of Python."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    codes = {
        number: getattr(getattr(handler, "__func__", handler), "__code__", None) for number, handler in handlers.items()
    }
    return {number: code for number, code in codes.items() if code is not None}
