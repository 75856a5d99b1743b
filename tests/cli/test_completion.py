"""Completion in the shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_COMMAND = Path(sys.executable).with_name("runlog-otel")


@pytest.mark.parametrize(
    ("typed", "completed"), [("runlog-otel tr", ["trace-id"]), ("runlog-otel db up", ["upgrade"])], ids=str
)
def test_bash_completes_a_command(typed: str, completed: list[str]) -> None:
    """What `--install-completion` installs asks the program itself."""
    environ = {
        **os.environ,
        "_RUNLOG_OTEL_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    done = subprocess.run([_COMMAND], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == completed
