"""Writes docs/performance.md and its plots from the results of all parts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.plot import svg

_WIDTH = 120
Result = Mapping[str, Any]
_INTRODUCTION = """\
# Performance

`make bench` measures this page, in at most 20 minutes on two cores; `make bench ONLY=export` measures one part. Ours
and its reference run in turns. A figure is the median of its rounds; a ratio or a difference is the median of those of
each round. The machine should have nothing else to do. `benchmarks/results/` has every round and the versions of the
packages.
"""
_QUICK = "**Some results are of a quick run with tiny sizes: they show the form of the page and nothing else.**\n"


def write(root: Path, parts: Sequence[str]) -> None:
    """Write the page of the results below a folder, in the order of the parts."""
    paths = (root / "benchmarks" / "results" / f"{part}.json" for part in parts)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    docs = root / "docs"
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "performance.md").write_text(page(results), encoding="utf-8")
    for curve in (curve for result in results for curve in result["curves"]):
        (docs / _picture(curve)).write_text(svg(curve), encoding="utf-8")


def page(results: Sequence[Result]) -> str:
    """The page."""
    lines = [_INTRODUCTION]
    if any(result["is_quick"] for result in results):
        lines.append(_QUICK)
    for result in results:
        lines += _section(result)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(result: Result) -> Iterator[str]:
    yield f"## {result['title']}\n"
    yield "| what | unit | ours | reference | compared | goal | met |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for figure in result["figures"]:
        yield f"| {' | '.join(_cells(figure))} |"
    yield ""
    for paragraph in (result["how"], *result["notes"], f"*{_circumstances(result)}.*"):
        yield fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"
    for curve in result["curves"]:
        yield f"![{curve['title']}]({_picture(curve)})\n"


def _circumstances(result: Result) -> str:
    rounds = max(len(figure["rounds"]["ours"]) for figure in result["figures"])
    machine, packages = result["machine"], result["packages"]
    parts = [
        *(["A quick run"] if result["is_quick"] else []),
        f"at most {rounds} rounds" if rounds > 1 else "one round",
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB",
        f"Python {machine['python']}, runnable {packages.get('runnable', '-')}",
        f"revision {result['revision']}",
    ]
    return "; ".join(parts)


def _cells(figure: Mapping[str, Any]) -> Iterator[str]:
    goal = figure["goal"]
    is_difference = goal is not None and goal["of"] == "difference"
    yield figure["what"]
    yield figure["unit"]
    yield _number(figure["ours"])
    if figure["reference"] is None:
        yield from ("", "")
    else:
        yield f"{_number(figure['reference'])} ({figure['of_reference']})"
        yield _signed(figure["difference"]) if is_difference else f"{_number(figure['ratio'])}x"
    if goal is None:
        yield from ("", "")
        return
    sign = "≥" if goal["is_least"] else "≤"
    yield f"{sign} {'+' if is_difference else ''}{goal['bound']:g}{'x' if goal['of'] == 'ratio' else ''}"
    yield "yes" if figure["is_met"] else "no"


def _picture(curve: Mapping[str, Any]) -> str:
    return f"performance-{curve['name']}.svg"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{_number(abs(value))}"


def _number(value: float) -> str:
    """Three digits, at least."""
    digits = next((digits for digits, size in enumerate((100, 10, 0.1)) if value >= size), 4)
    return f"{value:,.{digits}f}"
