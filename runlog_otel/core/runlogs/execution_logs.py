"""The name of the file in the host's catalog that has the output of an attempt, noted in a code identity of our own.

The host gives it a random name, which no replay could guess. It is noted by the process that exports the log, with the
fingerprints of the secrets in it: a log without this note is never exported.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runlog_otel.core.model import ExecutionLog

Document = Mapping[str, Any]

LOG = "runlog_otel.log"
"""The type of the code identity that names an attempt's execution log."""
_MAX_GROUPS = 100
_NOTE = r"columns=(?P<columns>\d{1,6})(?: stderr=(?P<stderr>[\d,-]+))? name=(?P<name>[^/\\\0]{1,240}\.execution\.log)"
"""Any other name is ignored: nothing else in the catalog is read, and nothing outside of it."""


def grouped(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Increasing line numbers as groups of adjacent ones, the first hundred of them."""
    groups: list[tuple[int, int]] = []
    for number in numbers:
        if groups and groups[-1][1] == number - 1:
            groups[-1] = (groups[-1][0], number)
        elif len(groups) == _MAX_GROUPS:
            break
        else:
            groups.append((number, number))
    return tuple(groups)


def code_from_log(log: ExecutionLog) -> dict[str, Any]:
    """The name of an execution log as a `CodeIdentity`."""
    stderr = ",".join(f"{first}-{last}" for first, last in log.stderr)
    return {
        "code_identifier_type": LOG,
        "code_identifier": f"columns={log.columns}{stderr and f' stderr={stderr}'} name={log.name}",
        "code_identifier_dependable": True,
        "code_identifier_message": "the file with the output of the attempt, its width, and its lines from stderr",
    }


def log_of_attempt(attempt: Document, utc_offset_seconds: int | None) -> ExecutionLog | None:
    """The execution log that an attempt names; the offset is that of the attempt's start, if it is known."""
    for identity in attempt.get("code_identities") or ():
        if identity.get("code_identifier_type") == LOG:
            noted = re.fullmatch(_NOTE, str(identity.get("code_identifier") or ""))
            if noted is None:
                return None
            groups = re.findall(r"(\d{1,9})-(\d{1,9})", noted["stderr"] or "")[:_MAX_GROUPS]
            stderr = tuple((int(first), int(last)) for first, last in groups)
            return ExecutionLog(noted["name"], int(noted["columns"]), stderr, utc_offset_seconds)
    return None
