"""What docs/testing.md says of the tests is so."""

import re
from pathlib import Path

from tests.conftest import TIERS

_ROOT = Path(__file__).parents[1]
_PAGE = (_ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_every_file_that_proves_a_rule_is_there() -> None:
    """Each path to a Python file on the page leads to a file."""
    paths = re.findall(r"`(tests/[a-z0-9_/]+\.py)`", _PAGE)
    assert len(paths) > 20
    assert [path for path in paths if not (_ROOT / path).is_file()] == []


def test_every_folder_stands_in_its_tier() -> None:
    """The table of tiers names each folder with tests, in the row of its tier."""
    rows = dict(re.findall(r"^\| `(unit|process|peers)` \|.*\| (.*) \|$", _PAGE, re.MULTILINE))
    folders = {path.relative_to(_ROOT / "tests").parts[0] for path in (_ROOT / "tests").glob("*/**/test_*.py")}
    expected = {folder: TIERS.get(folder, "unit") for folder in folders}
    assert {folder: [tier for tier, row in rows.items() if f"`{folder}`" in row] for folder in folders} == {
        folder: [tier] for folder, tier in expected.items()
    }
