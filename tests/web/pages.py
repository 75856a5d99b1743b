"""Pages of recorded and of made-up runs, and what a browser would see of them."""

import json
from collections.abc import Mapping
from datetime import timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from typing_extensions import override

from runlog_otel.core.model import Attempt, Branch, Facts, Header, Run, Status, Step
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.settings import Settings
from runlog_otel.web.rendering import render
from runlog_otel.web.run_page import RunPage, run_page
from runlog_otel.web.site import Site

GOLDEN = Path(__file__).parents[1] / "golden"
LOGS = sorted(path.name.removesuffix(".log.json") for path in GOLDEN.glob("*.log.json"))
SECOND = 10**9
_VOID = ("link", "meta", "input", "img", "br", "hr")
START = 1_800_000_000 * SECOND


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        """What is left open, and what is closed that was not open."""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        if self.open[-1:] == [tag]:
            self.open.pop()
        else:
            self.open.append(f"/{tag}")

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All text, of styles and scripts too."""
        return "".join(self.texts)

    def attributes(self, name: str) -> list[str]:
        """The values of all attributes of a name."""
        return [str(attributes[name]) for _, attributes in self.tags if name in attributes]


def log(name: str) -> Any:
    """A recorded run log."""
    return json.loads((GOLDEN / f"{name}.log.json").read_text(encoding="utf-8"))


def page_of(document: Any, settings: Mapping[str, Any] | None = None, **options: Any) -> RunPage:
    """The page of a run log."""
    return run_page(run_from_log(document, zone=timezone.utc), Settings.load(settings or {}, {}), **options)


def rendered(page: RunPage, site: Site | None = None) -> str:
    """The page as HTML: without a site as a report."""
    return render("run.html", site, page=page)


def attempt(start: float, end: float, status: Status = Status.SUCCESS, **more: Any) -> Attempt:
    """An attempt; times in seconds after `START`."""
    more = {"number": 1, "execution": 1, **more}
    return Attempt(status=status, start_ns=at(start), end_ns=at(end), **more)


def at(seconds: float) -> int:
    """A moment after `START`."""
    return START + round(seconds * SECOND)


def step(name: str, *attempts: Attempt, status: Status = Status.SUCCESS, path: str = "", **more: Any) -> Step:
    """A task."""
    return Step(name=name, path=path or name, kind="task", status=status, attempts=attempts, **more)


def mapped(name: str, branches: Mapping[str, tuple[Step, ...]]) -> Step:
    """A map with an iteration for each value."""
    inner = tuple(
        Branch(value, f"{name}.{value}", Status.SUCCESS, (*steps, *_verdict(Status.SUCCESS, steps, f"{name}.{value}.")))
        for value, steps in branches.items()
    )
    return Step(name=name, path=name, kind="map", status=Status.SUCCESS, branches=inner)


def run_of(*steps: Step, status: Status = Status.SUCCESS, **more: Any) -> Run:
    """A run of these steps, which has ended unless its status says otherwise."""
    more = {"run_id": "some-run-0001", "pipeline": "demo", "host": "runnable", **more}
    header = more.pop("header", Header(created_ns=START, utc_offset_seconds=0))
    return Run(status=status, header=header, steps=(*steps, *_verdict(status, steps)), **more)


def _verdict(status: Status, steps: tuple[Step, ...], path: str = "") -> tuple[Step, ...]:
    if not status.is_final:
        return ()
    kind = "success" if status is Status.SUCCESS else "fail"
    last = max(a.end_ns or 0 for s in _all(steps) for a in s.attempts)
    end = Attempt(number=1, status=Status.SUCCESS, start_ns=last, end_ns=last, execution=1)
    return (Step(name=kind, path=path + kind, kind=kind, status=Status.SUCCESS, attempts=(end,)),)


def _all(steps: tuple[Step, ...]) -> list[Step]:
    return [s for outer in steps for s in (outer, *(i for b in outer.branches for i in _all(b.steps)))]


def used(**attributes: Any) -> Facts:
    """Facts by names of `semconv`, with `_` for the dots."""
    return Facts(attributes={name.replace("_", "."): value for name, value in attributes.items()})
