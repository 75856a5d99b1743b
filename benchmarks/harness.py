"""Rounds in turns, figures with their goals, and the file of results that each part writes."""

import json
import operator
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
_PACKAGES = (
    "runlog-otel",
    "runnable",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "protobuf",
    "pydantic",
    "SQLAlchemy",
    "psycopg",
)

Case = Callable[[], float]
"""Measures once."""
Samples = tuple[float, ...]
"""One number of each round."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on `ours`, on its `ratio` to the reference, or on their `difference`."""

    of: Literal["ours", "ratio", "difference"]
    bound: float
    is_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value >= self.bound if self.is_least else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in a unit; the ratio and the difference are medians of those of each round."""

    what: str
    unit: str
    ours: Samples
    reference: Samples = ()
    of_reference: str = ""
    """What the reference is."""
    goal: Goal | None = None

    def document(self) -> dict[str, Any]:
        """As the results file has it."""
        values: dict[str, float | None] = {
            "ours": statistics.median(self.ours),
            "reference": statistics.median(self.reference) if self.reference else None,
            "ratio": self._of_rounds(operator.truediv),
            "difference": self._of_rounds(operator.sub),
        }
        value = values[self.goal.of] if self.goal else None
        return {
            "what": self.what,
            "unit": self.unit,
            **{key: None if value is None else _rounded(value) for key, value in values.items()},
            "of_reference": self.of_reference,
            "goal": self.goal and {"of": self.goal.of, "bound": self.goal.bound, "is_least": self.goal.is_least},
            "is_met": None if self.goal is None or value is None else self.goal.is_met(value),
            "rounds": {"ours": [*map(_rounded, self.ours)], "reference": [*map(_rounded, self.reference)]},
        }

    def _of_rounds(self, compare: Callable[[float, float], float]) -> float | None:
        return statistics.median(map(compare, self.ours, self.reference)) if self.reference else None


@dataclass(frozen=True, slots=True)
class Curve:
    """How a cost grows: for each line, the cost at each size."""

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Mapping[int, float]]

    def document(self) -> dict[str, Any]:
        """As the results file has it."""
        lines = {name: [[size, _rounded(cost)] for size, cost in line.items()] for name, line in self.lines.items()}
        return {"name": self.name, "title": self.title, "x": self.x, "y": self.y, "lines": lines}


@dataclass(slots=True)
class Bench:
    """One part: its empty folder, and what it measures."""

    folder: Path
    is_quick: bool = False
    """Tiny sizes and one round, to see that it works."""
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def size(self, full: int, quick: int) -> int:
        """A size, or that of a quick run."""
        return quick if self.is_quick else full

    def add(
        self,
        what: str,
        unit: str,
        ours: Samples,
        reference: Samples = (),
        of_reference: str = "",
        *,
        goal: Goal | None = None,
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(what, unit, ours, reference, of_reference, goal))

    def in_turns(self, cases: Mapping[str, Case], rounds: int, seconds: float) -> dict[str, Samples]:
        """Call every case in each round; no round begins after so many seconds, except the first."""
        samples: dict[str, list[float]] = {name: [] for name in cases}
        rounds = self.size(rounds, 1)
        started = time.perf_counter()
        for number in range(1, rounds + 1):
            for name, case in cases.items():
                samples[name].append(case())
                say(f"  round {number} of {rounds}: {name}: {samples[name][-1]:.4g}")
            if time.perf_counter() - started > seconds:
                break
        return {name: tuple(values) for name, values in samples.items()}

    def document(self, part: str, title: str, how: str) -> dict[str, Any]:
        """As the results file has it."""
        return {
            "part": part,
            "title": title,
            "how": how,
            "is_quick": self.is_quick,
            "revision": _revision(),
            "machine": machine(),
            "packages": {name: text for name in _PACKAGES if (text := _version(name))},
            "figures": [figure.document() for figure in self.figures],
            "curves": [curve.document() for curve in self.curves],
            "notes": self.notes,
        }


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """The machine, without its name."""
    return {
        "cpu": _value_of(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document in one layout; a list of numbers is one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{_laid_out(document, '')}\n", encoding="utf-8")


def _laid_out(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        parts = [f"{inner}{json.dumps(key)}: {_laid_out(part, inner)}" for key, part in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(part, dict) for part in value):
        parts = [f"{inner}{_laid_out(part, inner)}" for part in value]
        return "[\n" + ",\n".join(parts) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _revision() -> str:
    """The commit, and whether code differs from it; results are written while others are still measured."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)

    revision = git("rev-parse", "--short=10", "HEAD").stdout.strip()
    is_changed = git("diff", "--quiet", "HEAD", "--", "*.py").returncode
    return f"{revision or 'unknown'}{' with changes' if is_changed else ''}"


def _value_of(path: Path, name: str) -> str:
    """The value of a line `name : value` of a file of the kernel."""
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
