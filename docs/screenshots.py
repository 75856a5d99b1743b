"""Takes the pictures of the pages: of real runs of the demo, in Chromium. `make screenshots` calls it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
_COMMAND = (sys.executable, "-m", "runlog_otel")
_RUNS = 8


class Picture(NamedTuple):
    """A page, and how it is looked at; `{run}` is the id of the newest run."""

    file: str
    path: str
    scheme: str = "light"
    width: int = 1280
    height: int = 860


PICTURES = (
    Picture("page-run.png", "/runs/{run}"),
    Picture("page-run-dark.png", "/runs/{run}", scheme="dark"),
    Picture("page-run-narrow.png", "/runs/{run}", width=420),
    Picture("page-runs.png", "/", height=480),
    Picture("page-pipeline.png", "/pipelines/demo", scheme="dark"),
)


def main() -> int:
    """Take all pictures; 1 without Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 1
    with TemporaryDirectory() as folder:
        for _ in range(_RUNS):
            subprocess.run([*_COMMAND, "demo", "--folder", folder], check=True, stdout=subprocess.DEVNULL)
        runs = subprocess.run([*_COMMAND, "runs", "--json"], cwd=folder, check=True, capture_output=True)
        newest = json.loads(runs.stdout)["runs"][0]["run_id"]
        with _pages(folder) as address:
            _take(chromium, address, newest)
    return 0


@contextmanager
def _pages(folder: str) -> Iterator[str]:
    """The address of the pages of a folder, as the command prints it."""
    command = [*_COMMAND, "ui", "--listen", "127.0.0.1:9463"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        lines = server.stdout or ()
        try:
            yield next(found[0].rstrip("/") for line in lines if (found := re.search(r"http://127\S+", line)))
        finally:
            server.terminate()


def _take(chromium: str, address: str, run_id: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in PICTURES:
            size = {"width": picture.width, "height": picture.height}
            page = browser.new_page(viewport=size, color_scheme=picture.scheme, device_scale_factor=1)
            page.goto(address + picture.path.format(run=run_id))
            page.screenshot(path=FOLDER / picture.file)
            page.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
