"""What every test has: the real peers' fixtures, and an environment without OTEL_* variables."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.peers.fixtures", "tests.e2e.serving", "tests.hosts.magnus.environment"]

settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

for _name in [name for name in os.environ if name.startswith(("OTEL_", "RUNNABLE_", "MAGNUS_", "TRACEPARENT"))]:
    del os.environ[_name]


@pytest.fixture(autouse=True)
def _unchanged_environment() -> None:
    """The host writes RUNNABLE_* variables into its process; tests run in any order."""
    for name in [name for name in os.environ if name.startswith("RUNNABLE_")]:
        del os.environ[name]
