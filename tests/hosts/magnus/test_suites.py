"""The suites that need magnus's classes run in magnus's environment, each as one session of pytest."""

import re
from pathlib import Path

import pytest

from runlog_otel.stores.sql.upgrade import create_tables
from tests.hosts.project import run
from tests.peers.postgres import Postgres

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    url = postgres.create_database()
    create_tables(url)
    return url


def passed(python: Path, suite: str, **variables: str) -> int:
    """Run a suite to its end, and return how many tests passed, if all did and none was skipped."""
    options = ("-q", "--no-header", "-p", "no:cacheprovider", "--noconftest")
    done = run([str(python), "-m", "pytest", *options, f"tests/hosts/magnus/suites/{suite}.py"], _ROOT, **variables)
    closing = re.search(r"^(\d+) passed in ", done.output, re.MULTILINE)
    assert closing, done.output
    assert done.returncode == 0, done.output
    return int(closing[1])


def test_our_stores_do_what_magnus_asks_of_a_store(magnus_python: Path, postgres_url: str) -> None:
    """The contract, against ours and magnus's own."""
    assert passed(magnus_python, "stores", POSTGRES_URL=postgres_url) >= 90


def test_the_wrapper_is_the_inner_store_to_everybody_who_looks(magnus_python: Path) -> None:
    """Every method of magnus's base class, its attributes, its dump and its copies."""
    assert passed(magnus_python, "wrapper") >= 100
