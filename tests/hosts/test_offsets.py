"""The UTC offset of a naive time follows from the zone of the process, and from when the time was written."""

import json
from pathlib import Path

import pytest

from tests.hosts.project import run_python

_CODE = """
import json, sys
from datetime import datetime
from runlog_otel.hosts.kit.wrapper import utc_offset_seconds
cases = json.loads(sys.argv[1])
print("FOUND", json.dumps([utc_offset_seconds(text, datetime.fromisoformat(near)) for text, near in cases]))
"""
_FALL = "2026-10-25 02:30:00"
CASES: dict[str, list[tuple[str, str, int | None]]] = {
    "Asia/Kolkata": [("2026-06-21 12:00:00.5", "2026-06-21T12:00:01+05:30", 19_800)],
    "Europe/Berlin": [
        (_FALL, "2026-10-25T02:30:01+02:00", 7200),
        (_FALL, "2026-10-25T02:30:01+01:00", 3600),
        ("2026-10-25 02:59:59", "2026-10-25T02:00:04+01:00", 7200),
        ("2026-03-29 01:59:59", "2026-03-29T03:00:01+02:00", 3600),
        ("2026-06-21 12:00:00", "2026-06-21T06:00:00-04:00", 7200),
        ("2026-06-21 06:00:00", "2026-06-21T06:00:00-04:00", -14_400),
        ("", "2026-06-21T06:00:00-04:00", None),
        ("2026-06-21 12:00:00+03:00", "2026-06-21T12:00:00+02:00", None),
        ("9999-12-31 23:59:59", "2026-06-21T12:00:00+02:00", None),
    ],
}


@pytest.mark.parametrize("zone", CASES)
def test_a_naive_time_has_the_offset_that_it_was_written_with(tmp_path: Path, zone: str) -> None:
    """An hour that is there twice, one that is missing, a zone that the code changed, and what is no naive time."""
    asked = json.dumps([case[:2] for case in CASES[zone]])
    output = run_python(tmp_path, "-c", _CODE, asked, TZ=zone).succeeded().output
    assert json.loads(output.rpartition("FOUND ")[2]) == [case[2] for case in CASES[zone]]
