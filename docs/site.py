"""Builds the docs as a searchable site. A broken link fails it, and so does whatever a page loads from elsewhere."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, SITE = ROOT / ".site", ROOT / "site"
_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
_FOLDERS = ("docs", "examples")
_FOREIGN = re.compile(r"""<(?:link|script|img|iframe|source)\b[^>]*?\b(?:href|src)=["']?((?:https?:)?//[^"'\s>]+)""")


def main() -> int:
    """Build; 1 when something is wrong with it."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir()
    for page in _PAGES:
        shutil.copy(ROOT / page, SOURCE)
    for folder in _FOLDERS:
        shutil.copytree(ROOT / folder, SOURCE / folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        return 1
    foreign = sorted(set(foreign_parts(SITE)))
    for part in foreign:
        print(f"loaded from elsewhere: {part}", file=sys.stderr)
    return 1 if foreign else 0


def foreign_parts(site: Path) -> Iterator[str]:
    """The pages with the addresses of scripts, styles and images that are not of the site."""
    for page in site.rglob("*.html"):
        for address in _FOREIGN.findall(page.read_text(encoding="utf-8")):
            yield f"{page.relative_to(site)}: {address}"


if __name__ == "__main__":
    sys.exit(main())
