"""The compose files as Docker's own loader reads them."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.stack.shipped import ROOT

SINGLE = ("docker-compose.yml",)
GATEWAYS = ("docker-compose.yml", "docker-compose.gateways.yml")
LOKI = ("docker-compose.yml", "docker-compose.loki.yml")

Service = dict[str, Any]


def load(program: Path, files: tuple[str, ...], *options: str) -> subprocess.CompletedProcess[str]:
    """Load compose files, each on top of the one before; the program never sees the environment's variables."""
    command = [f"{program}/cmd", "-format=json", *options, *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def services(program: Path, files: tuple[str, ...]) -> dict[str, Service]:
    """The services of these files, with their variables as they stand."""
    done = load(program, files, "-no-interpolation")
    assert done.returncode == 0, done.stderr
    found: dict[str, Service] = json.loads(done.stdout)["services"]
    return found
