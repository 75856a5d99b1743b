"""A headless Chromium, driven by Playwright: what a page does in it, and what it asks the network for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser as PlaywrightBrowser
    from playwright.sync_api import Page

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@dataclass(frozen=True)
class Tab:
    """An open page, and what went on in it."""

    page: "Page"
    problems: list[str] = field(default_factory=list)
    """Errors and warnings of its console: what its policy refuses is among them."""
    requests: list[str] = field(default_factory=list)

    def violations(self) -> list[tuple[str, Sequence[str]]]:
        """The rules of axe-core that the page breaks, and where."""
        from axe_playwright_python.sync_playwright import Axe

        options = {"runOnly": {"type": "tag", "values": _RULES}}
        found: list[dict[str, Any]] = Axe().run(self.page, options=options).response["violations"]
        return [(each["id"], [str(node["target"]) for node in each["nodes"]]) for each in found]


class Browser:
    """Opens pages, each in a context of its own."""

    def __init__(self, browser: "PlaywrightBrowser") -> None:
        self._browser = browser

    @contextmanager
    def tab(self, url: str, *, width: int = 1280, **options: Any) -> Iterator[Tab]:
        """A page; options are those of Playwright's `new_context`, such as `color_scheme`."""
        context = self._browser.new_context(viewport={"width": width, "height": 900}, **options)
        try:
            tab = Tab(context.new_page())
            tab.page.on("console", lambda message: tab.problems.append(message.text))
            tab.page.on("pageerror", lambda error: tab.problems.append(str(error)))
            tab.page.on("request", lambda request: tab.requests.append(request.url))
            tab.page.goto(url)
            yield tab
        finally:
            context.close()


@contextmanager
def running_browser(binaries: Path) -> Iterator[Browser]:
    """A Chromium from the folder with its program."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binaries / "chromium", args=["--no-sandbox"])
        try:
            yield Browser(browser)
        finally:
            browser.close()
