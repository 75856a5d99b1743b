"""The output of an attempt becomes log records: lines with a time and a severity, redacted and bounded."""

from dataclasses import replace

import pytest

from runlog_otel.core.log_lines import MARGIN, MAX_BYTES, READ_BYTES, AttemptLog, LogRecord, Output
from runlog_otel.core.model import Attempt, ExecutionLog, Status
from runlog_otel.core.redaction import MASK, RedactionPolicy, fingerprint_of
from runlog_otel.core.trace import Execution, SpanRole

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
"""2023-11-14 22:13:20 UTC."""
LOG = ExecutionLog("loadXYZ.execution.log", 80, utc_offset_seconds=3600)
ATTEMPT = Attempt(1, Status.SUCCESS, start_ns=START, end_ns=START + 60 * SECOND, log=LOG)
EXECUTION = Execution("calm-otter", "train")


def records(output: str | Output, attempt: Attempt = ATTEMPT, execution: Execution = EXECUTION) -> list[LogRecord]:
    """The records of an output."""
    return AttemptLog(execution, "load", attempt, Output(output) if isinstance(output, str) else output).records()


def bodies(output: str | Output, attempt: Attempt = ATTEMPT, execution: Execution = EXECUTION) -> list[str]:
    """Their bodies."""
    return [record.body for record in records(output, attempt, execution)]


def test_a_record_is_a_line_under_the_span_of_its_attempt() -> None:
    """Blank lines are left out; each has an id of its own, which is the same whenever it is made."""
    text = "one\n\n  two  \r\n"
    made = records(text)
    assert [record.body for record in made] == ["one", "  two"]
    span_id = EXECUTION.span_id(SpanRole.ATTEMPT, "load", 1)
    assert {(record.trace_id, record.span_id) for record in made} == {(EXECUTION.trace_id, span_id)}
    assert [record.uid for record in made] == [f"{span_id.hex()}-1", f"{span_id.hex()}-2"]
    assert made[0].attributes == {
        "cicd.pipeline.name": "train",
        "cicd.pipeline.run.id": "calm-otter",
        "runlog.execution": 1,
        "runlog.step.path": "load",
    }
    assert records(text) == made


def test_an_attempt_without_times_or_without_a_noted_log_has_no_records() -> None:
    """Its fingerprints of secrets were not noted either."""
    assert (
        records("one", replace(ATTEMPT, log=None)) == records("one", replace(ATTEMPT, start_ns=None, end_ns=None)) == []
    )


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("2023-11-14 22:13:25,123 - app - DEBUG - loading", "DEBUG"),
        ("INFO:root:loading", "INFO"),
        ("[WARNING] low", "WARN"),
        ("[12:00:00] WARN     low", "WARN"),
        ("ERROR: no", "ERROR"),
        ("CRITICAL down", "FATAL"),
        ('{"level": "error", "message": "no"}', "ERROR"),
        ("ts=1 level=info msg=x", "INFO"),
        ("loading", ""),
        ("an error occurred", ""),
        ("INFORMATION", ""),
        ("x" * 200 + " ERROR", ""),
    ],
)
def test_the_severity_is_the_level_that_the_line_names(line: str, severity: str) -> None:
    """A word in capitals near the beginning, or a field; else it is not known."""
    (record,) = records(line)
    assert record.severity.text == severity


def test_the_lines_of_a_traceback_are_errors() -> None:
    """Those of Python and those that Rich draws; what follows the exception is not."""
    plain = "Traceback (most recent call last):\n  File x\nValueError: no\nnext"
    drawn = f"╭{'─' * 20} Traceback (most recent call last) {'─' * 20}╮\n│ in x │\n╰{'─' * 75}╯\nValueError: no\nnext"
    assert [record.severity.text for record in records(plain)] == ["ERROR"] * 3 + [""]
    assert [record.severity.text for record in records(drawn)] == ["ERROR"] * 4 + [""]


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("2023-11-14 23:13:25,5 local", 5.5),
        ("[2023-11-14T22:13:25.250Z] of itself", 5.25),
        ("2023-11-14T22:13:25+00:00 of itself", 5),
        ("2023-11-14 18:13:25 -0400 of itself", 5),
        ("2023-11-14 21:13:25 local, before the attempt", None),
        ("2023-11-15 23:13:25 local, after the attempt", None),
        ("2023-99-99 99:99:99 no time", None),
        ("no time", None),
    ],
)
def test_the_time_is_that_at_the_beginning_of_the_line(line: str, seconds: float | None) -> None:
    """A local one is at the attempt's offset; a line without a plausible one follows the line before."""
    before, made, after = records(f"first\n{line}\nlast")
    at_ns = START + 1 if seconds is None else START + round(seconds * SECOND)
    assert [before.time_ns, made.time_ns, after.time_ns] == [START, at_ns, at_ns + 1]


def test_times_increase() -> None:
    """Backends sort by them; two lines of one second keep their order."""
    lines = ["2023-11-14 23:13:25 a", "2023-11-14 23:13:25 b", "2023-11-14 23:13:24 c"]
    assert [record.time_ns - START for record in records("\n".join(lines))] == [5 * SECOND + n for n in range(3)]


def test_a_local_time_is_not_read_where_the_offset_is_unknown() -> None:
    """Logs without our note have none."""
    (made,) = records("2023-11-14 23:13:25 a", replace(ATTEMPT, log=replace(LOG, utc_offset_seconds=None)))
    assert made.time_ns == START


def test_parameters_colours_and_overwritten_progress_stay_out() -> None:
    """The host prints parameters at the top; of a progress bar, its last state is shown."""
    top = "[12:00:00] Parameters available for the execution:                              tasks.py:265\n"
    text = f"{top}           {{'rows': 4711}}                                                tasks.py:266\n"
    assert bodies(f"{text}\x1b[31mred\x1b[0m\n 0%\r50%\r100%\n") == ["red", "100%"]


def test_secrets_are_masked_wherever_a_line_was_folded() -> None:
    """The host folds lines at its console's width; fingerprints are of the text without folds."""
    attempt = replace(ATTEMPT, marks=(fingerprint_of("correct-horse", "calm-otter"),))
    folded = "x" * 75 + "corre\nct-horse password=hunter2"
    assert bodies(folded, attempt) == ["x" * 75 + f"{MASK} password={MASK}"]


@pytest.mark.parametrize("before", range(32 * 1024 - 40, 32 * 1024 + 2, 13))
def test_secrets_are_masked_where_a_long_line_is_split(before: int) -> None:
    """A line of more than 32 KiB is several records."""
    token = "ghp_canary0canary1canary2canary3canary4"
    made = bodies("." * before + f" {token} " + "." * 40_000)
    assert "canary" not in "".join(made)
    assert "".join(made).count(MASK) == 1


def test_lines_from_stderr_are_known_by_their_numbers() -> None:
    """In the raw text, before parameters are removed, folded lines joined and secrets masked."""
    top = "[12:00:00] Parameters available for the execution:\n           {'rows': 4711}\n"
    text = f"{top}same\n\n{'x' * 80}\nfolded\nsame\npassword=hunter2\nlast\n"
    log = replace(LOG, stderr=((6, 7),))
    made = records(text, replace(ATTEMPT, log=log))
    assert [record.body for record in made] == ["same", f"{'x' * 80}folded", "same", f"password={MASK}", "last"]
    assert [record.attributes.get("log.iostream") for record in made] == [None, None, "stderr", "stderr", None]


def cut_in_two(text: str) -> Output:
    """A text as it is read from a file that is too long."""
    return Output(text[:READ_BYTES], text[-READ_BYTES:], len(text) - 2 * READ_BYTES)


def test_of_a_long_output_both_ends_are_kept() -> None:
    """A record of its own says how much is missing."""
    text = "".join(f"{'line':40} {number:8}\n" for number in range(100_000))
    made = bodies(cut_in_two(text))
    (gap,) = [at for at, body in enumerate(made) if body.startswith("… about ")]
    numbers = [int(body.split()[1]) for body in made if not body.startswith("…")]
    assert (numbers[0], numbers[-1]) == (0, 99_999)
    assert numbers == [*range(gap), *range(100_000 - (len(numbers) - gap), 100_000)]
    told = int(made[gap].split()[2].replace(",", ""))
    assert told == pytest.approx(len(text) - 50 * len(numbers), abs=100)
    assert sum(len(body) + 100 for body in made) <= MAX_BYTES + 200


def test_many_short_lines_are_bounded_too() -> None:
    """A record takes more than its body."""
    made = bodies("x\n" * (MAX_BYTES // 2))
    assert len(made) * 100 < MAX_BYTES + 200
    assert made[len(made) // 2].startswith("… about ")


@pytest.mark.parametrize("shift", [0, 13, 26, 39])
def test_a_secret_at_an_end_of_the_gap_is_not_seen_in_part(shift: int) -> None:
    """What was read of it is dropped, as it cannot be recognised."""
    token = "ghp_canary0canary1canary2canary3canary4"
    key = "-----BEGIN PRIVATE KEY-----\n" + "canarycanary\n" * 200 + "-----END PRIVATE KEY-----\n"
    filler = ".........\n" * 110_000
    for secret in (token, key):
        head = filler[: READ_BYTES - len(secret) + shift] + secret + "\n" + filler
        tail = filler + secret + "\n" + filler[: READ_BYTES - shift]
        for text in (head, tail):
            assert "canary" not in "".join(bodies(cut_in_two(text)))


def test_a_mask_that_shortens_the_read_part_reveals_nothing_behind_it() -> None:
    """The margin is dropped from what is left after redaction."""
    text = "password=" + "x" * (READ_BYTES - MARGIN) + "\n" + "ghp_canary0canary1canary2canary3canary4 " * 20_000
    assert "canary" not in "".join(bodies(cut_in_two(text)))


def test_patterns_of_the_settings_are_masked() -> None:
    """As in spans."""
    execution = replace(EXECUTION, policy=RedactionPolicy(patterns=("order-[0-9]+",)))
    assert bodies("order-4711 is late", execution=execution) == [f"{MASK} is late"]
