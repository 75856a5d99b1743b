"""The page of a run in a real browser: folding, zoom, growth, the keyboard, and what keeps people from reading it."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typing_extensions import override

from runlog_otel.core.log_lines import Output
from runlog_otel.core.model import ExecutionLog, Header, Run, Status
from runlog_otel.core.record_mapping import records_of
from runlog_otel.mapping import traces_from_run
from runlog_otel.settings import Settings
from runlog_otel.web.rendering import CONTENT_SECURITY_POLICY, STATIC, static
from runlog_otel.web.run_page import run_page
from runlog_otel.web.site import Site
from tests.peers.chromium import Browser
from tests.web.pages import LOGS, at, attempt, log, mapped, page_of, rendered, run_of, step

_SETTINGS = Settings.load({}, {})
_SHOWN = (
    """() => [...document.querySelectorAll(".waterfall tbody tr:not([hidden]) .text")].map(text => text.textContent)"""
)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], str]:
    """Writes a page to a file; gives its URL."""

    def open_(text: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        return path.as_uri()

    return open_


def _iterations(count: int, status: Status = Status.SUCCESS) -> Run:
    inner = {f"v{n}": (step("wash", attempt(n, n + 1), path=f"clean.v{n}.wash"),) for n in range(count)}
    return run_of(mapped("clean", inner), step("tail", attempt(count, count + 1)), status=status)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
@pytest.mark.parametrize("name", LOGS)
def test_a_report_is_for_everybody_and_asks_for_nothing(
    browser: Browser, opened: Callable[[str], str], name: str, scheme: str, width: int
) -> None:
    """axe-core finds nothing, the console is empty, the page is no wider than the screen, and the only request is for
    the file."""
    url = opened(rendered(page_of(log(name), {"ui": "https://jaeger.example.org"})))
    with browser.tab(url, width=width, color_scheme=scheme) as tab:
        tab.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert tab.violations() == []
        assert (tab.problems, tab.requests) == ([], [url])
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_failed_run_with_all_its_parts_is_for_everybody(browser: Browser, opened: Callable[[str], str]) -> None:
    """Its answer, the traceback, the runs before, the output."""
    stack = 'Traceback (most recent call last):\n  File "/app/p.py", line 37, in publish\n    push()\nOSError: no'
    log_of = ExecutionLog("publish.execution.log", 80)
    failed = attempt(1, 2, Status.FAIL, message=f"OSError: no\n\n{stack}", log=log_of)
    past = run_of(step("publish", attempt(-9, -8)), run_id="past", header=Header(created_ns=at(-9)))
    page = run_page(
        run_of(step("load", attempt(0, 1)), step("publish", failed, status=Status.FAIL), status=Status.FAIL),
        _SETTINGS,
        read_output=lambda _: Output("INFO begin\nWARNING slow\nERROR no\n" * 99),
        history=records_of(past, traces_from_run(past, _SETTINGS)),
    )
    for scheme, width in (("light", 1280), ("dark", 400)):
        with browser.tab(url := opened(rendered(page)), width=width, color_scheme=scheme) as tab:
            tab.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
            assert tab.page.get_by_label("Output of publish").is_visible()
            assert (tab.violations(), tab.problems, tab.requests) == ([], [], [url])


def test_rows_are_folded_with_the_keyboard_too(browser: Browser, opened: Callable[[str], str]) -> None:
    """The button says whether its rows are shown."""
    with browser.tab(opened(rendered(run_page(_iterations(3), _SETTINGS)))) as tab:
        page = tab.page
        assert page.evaluate(_SHOWN) == ["clean", "v0", "v1", "v2", "tail"]
        button = page.get_by_role("button", name="Rows of clean")
        button.press("Enter")
        assert (page.evaluate(_SHOWN), button.get_attribute("aria-expanded")) == (["clean", "tail"], "false")
        button.click()
        assert (len(page.evaluate(_SHOWN)), button.get_attribute("aria-expanded")) == (5, "true")


def test_ten_thousand_rows_can_be_opened_and_reached(browser: Browser, opened: Callable[[str], str]) -> None:
    """They are folded at first; a link into them unfolds them."""
    text = rendered(run_page(_iterations(10_000), _SETTINGS))
    key = run_page(_iterations(10_000), _SETTINGS).executions[0].waterfall.rows[9_001].key
    with browser.tab(opened(text)) as tab:
        assert tab.page.evaluate(_SHOWN) == ["clean", "tail"]
        tab.page.evaluate(f"location.hash = 's-{key}'")
        row = tab.page.locator(f"#s-{key}")
        row.wait_for(state="visible")
        tab.page.wait_for_function(
            f"() => {{ const box = document.getElementById('s-{key}').getBoundingClientRect();"
            " return box.top > 0 && box.bottom < innerHeight; }"
        )
        assert (row.locator(".text").text_content(), tab.problems) == ("v9000", [])


def test_the_chart_is_zoomed(browser: Browser, opened: Callable[[str], str]) -> None:
    """By buttons, and by a range that is drawn with the mouse; the axis follows."""
    axis = "() => [...document.querySelectorAll('.axis span')].map(label => label.textContent)"
    with browser.tab(opened(rendered(run_page(_iterations(7), _SETTINGS)))) as tab:
        page = tab.page
        assert page.evaluate(axis) == ["0", "2.00 s", "4.00 s", "6.00 s"]
        page.get_by_role("button", name="Zoom in").click()
        assert page.evaluate(axis) == ["2.00 s", "3.00 s", "4.00 s", "5.00 s"]
        page.get_by_role("button", name="Earlier").click()
        assert page.evaluate(axis)[0] == "0"
        assert page.get_by_role("button", name="Earlier").is_disabled()
        page.get_by_role("button", name="whole run").click()
        box = page.locator("tbody .chart").first.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 3 / 4, box["y"] + 5)
        page.mouse.up()
        assert page.evaluate(axis) == ["4.00 s", "4.50 s", "5.00 s", "5.50 s"]
        assert tab.problems == []


def test_without_scripts_everything_is_there(browser: Browser, opened: Callable[[str], str]) -> None:
    """Unfolded, without buttons that would do nothing."""
    with browser.tab(opened(rendered(run_page(_iterations(60), _SETTINGS))), java_script_enabled=False) as tab:
        page = tab.page
        assert page.locator(".waterfall tbody tr").count() == 62
        assert page.locator(".waterfall tbody tr").nth(60).is_visible()
        assert page.locator("button:visible").count() == 0


class _Handler(BaseHTTPRequestHandler):
    """Serves one page, as it is now, and the files of the look."""

    def __init__(self, render: Callable[[], str], *rest: object) -> None:
        self.render = render
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        text, kind = (static(name), STATIC[name]) if name in STATIC else (self.render(), "text/html; charset=utf-8")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.end_headers()
        self.wfile.write(text.encode())

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[], str]], str]]:
    """Serves what a function renders; gives its origin."""
    servers = []

    def serve(render: Callable[[], str]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, render))
        Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_running_run_grows_as_one_watches(browser: Browser, serving: Callable[[Callable[[], str]], str]) -> None:
    """What is folded, zoomed and focused stays so; at its end it is read no more."""
    runs = [_iterations(2, status=Status.PROCESSING)]
    origin = serving(lambda: rendered(run_page(runs[-1], _SETTINGS), Site(section="runs")))
    with browser.tab(f"{origin}/runs/some-run-0001") as tab:
        page = tab.page
        page.get_by_role("button", name="Rows of clean").press("Enter")
        page.get_by_role("button", name="Zoom in").click()
        page.get_by_role("button", name="Rows of clean").focus()
        runs.append(_iterations(3, status=Status.PROCESSING))
        page.get_by_text("3 iterations").wait_for()
        assert page.evaluate(_SHOWN) == ["clean", "tail"]
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Rows of clean"
        assert page.evaluate("document.querySelector('.waterfall').style.getPropertyValue('--zoom')") == "2"
        runs.append(_iterations(4))
        page.locator("h1 .status.ok").wait_for()
        assert page.locator("main[data-live]").count() == 0
        assert tab.problems == []
        assert {url.removeprefix(origin).split("/")[1] for url in tab.requests} == {"runs", "static"}
        assert tab.violations() == []
