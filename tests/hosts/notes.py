"""What the wrapper notes with attempts, in the run logs of a test."""

from typing import Any

NOTE = "runlog_otel.attempt"
FACTS = "runlog_otel.facts"


def taken_notes(part: Any) -> list[str]:
    """The notes of a document, which are taken out of it: then it is as the host wrote it."""
    notes: list[str] = []
    if isinstance(part, dict):
        codes = part.get("code_identities") or []
        notes += [code["code_identifier"] for code in codes if code["code_identifier_type"] == NOTE]
        notes += [code.pop(NOTE) for code in codes if NOTE in code]
        for code in codes:
            code.pop(FACTS, None)
        codes[:] = [code for code in codes if code["code_identifier_type"] not in (NOTE, FACTS)]
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        notes += taken_notes(value)
    return notes


def attempts_in(part: Any) -> int:
    """How many attempts stand in a document."""
    if isinstance(part, dict):
        return len(part.get("attempts") or ()) + sum(map(attempts_in, part.values()))
    return sum(map(attempts_in, part)) if isinstance(part, list) else 0
