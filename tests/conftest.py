"""What every test has: a tier, the real peers' fixtures, and an environment without OTEL_* variables."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PEERS = "tests.peers.fixtures"
pytest_plugins = [PEERS, "tests.e2e.serving", "tests.hosts.magnus.environment"]

TIERS = {
    "cli/test_progress_text.py": "unit",
    "cli/test_watch.py": "unit",
    "cli": "process",
    "hosts": "process",
    "e2e": "process",
    "packaging": "process",
    "stores/test_concurrency.py": "process",
    "benchmarks/test_parts.py": "process",
    "peers": "peers",
    "stack": "peers",
}
"""Tiers by file or folder, the first that holds; all others hold unit tests."""
DATABASES = frozenset(["postgres", "postgresql"])
"""Values of a test's parameters for which it asks for a backend while it runs."""

settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell

for _name in [name for name in os.environ if name.startswith(("OTEL_", "RUNNABLE_", "MAGNUS_", "TRACEPARENT"))]:
    del os.environ[_name]


@pytest.fixture(autouse=True)
def _unchanged_environment() -> None:
    """The host writes RUNNABLE_* variables into its process; tests run in any order."""
    for name in [name for name in os.environ if name.startswith("RUNNABLE_")]:
        del os.environ[name]


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by these marks
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark each test with its tier."""
    for item in items:
        if isinstance(item, pytest.Function):
            item.add_marker(_tier(item))


def _tier(test: pytest.Function) -> str:
    """`peers` for a test that asks for a real backend, otherwise the tier of its folder or file."""
    used = {definitions[-1].func.__module__ for definitions in test._fixtureinfo.name2fixturedefs.values()}
    parameters = test.callspec.params.values() if hasattr(test, "callspec") else ()
    if PEERS in used or not DATABASES.isdisjoint(value for value in parameters if isinstance(value, str)):
        return "peers"
    path = test.path.relative_to(Path(__file__).parent)
    return next((tier for place, tier in TIERS.items() if path.is_relative_to(place)), "unit")
