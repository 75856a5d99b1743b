"""Where magnus is: in an environment that `make test` makes, as it cannot be the one that has runnable."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.peers.fixtures import REQUIRE

_PYTHON = Path(__file__).parents[3] / ".venv-magnus" / "bin" / "python"


@pytest.fixture(scope="session")
def magnus_python() -> Path:
    """The interpreter of that environment."""
    imported = _PYTHON.exists() and subprocess.run([_PYTHON, "-c", "import magnus"], capture_output=True, check=False)
    if not imported or imported.returncode:
        reason = "magnus's environment is not there, run `make test` (Python 3.10 to 3.12)"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return _PYTHON
