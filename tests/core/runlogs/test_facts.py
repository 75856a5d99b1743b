"""Facts of an attempt are written into its log with every text masked, and read back as they were written."""

from runlog_otel.core.model import AttemptEvent, Facts
from runlog_otel.core.runlogs.facts import facts_from_text, redacted_facts, text_of_facts

SECRET = "hunter-22"
FACTS = Facts(
    attributes={"host.name": f"host-{SECRET}", "process.pid": 7, "runlog.attempt.cpu.time": 0.5},
    annotations={"rows": 3, "login": SECRET, "files": ("a", f"{SECRET}.csv")},
    events=(AttemptEvent(1, f"saw {SECRET}", {"key": SECRET, "epoch": 3}),),
    error_type="oom_killed",
)


def masked(text: str) -> str:
    return text.replace(SECRET, "[masked]")


def test_every_text_is_masked() -> None:
    """Names of events, and values, alone and in lists; numbers stay."""
    assert redacted_facts(FACTS, masked) == Facts(
        attributes={"host.name": "host-[masked]", "process.pid": 7, "runlog.attempt.cpu.time": 0.5},
        annotations={"rows": 3, "login": "[masked]", "files": ("a", "[masked].csv")},
        events=(AttemptEvent(1, "saw [masked]", {"key": "[masked]", "epoch": 3}),),
        error_type="oom_killed",
    )


def test_facts_are_read_as_they_were_written() -> None:
    """With the index of the attempt, if they are on its step."""
    facts = redacted_facts(FACTS, masked)
    assert facts_from_text(text_of_facts(facts)) == (0, facts)
    assert facts_from_text(text_of_facts(facts, 3)) == (3, facts)
