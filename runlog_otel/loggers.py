"""The loggers of this package: text in their records is printable in every handler."""

import logging

from runlog_otel.printable import printable


class _PrintableArguments(logging.Filter):
    """Escapes the arguments of a record; numbers stay numbers, for `%d`, and the template stays as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                argument if isinstance(argument, int | float) else printable(str(argument)) for argument in record.args
            )
        return True


_FILTER = _PrintableArguments()


def package_logger(name: str = "runlog_otel") -> logging.Logger:
    """The logger of a module of this package: the filters of a logger do not see what its children log.

    Args:
        name: `runlog_otel`, or a name below it.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_FILTER)
    return logger
