"""`python -m benchmarks [PART ...]`: measures all parts or some, and writes their results and docs/performance.md."""

import argparse
import ast
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import page
from benchmarks.harness import ROOT, Bench, say, write_json

PARTS = ("export", "mapping", "live", "usage", "sql", "serve", "start")


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round: shows only that it works")
    parser.add_argument("--list", action="store_true", help="list the parts")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from the results")
    parser.add_argument("--into", type=Path, default=ROOT, help="the folder of benchmarks/results and docs")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.list:
        for part in PARTS:
            print(f"{part:8} {_described(part)[0]}")
        return
    for part in () if options.page else options.parts or PARTS:
        measure(part, options.into, is_quick=options.quick)
    page.write(options.into, PARTS)


def measure(part: str, into: Path, *, is_quick: bool) -> None:
    """Measure one part and write its results."""
    say(part)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="runlog-otel-bench-") as folder:
        bench = Bench(Path(folder), is_quick)
        import_module(f"benchmarks.{part}").measure(bench)
    write_json(into / "benchmarks" / "results" / f"{part}.json", bench.document(part, *_described(part)))
    say(f"{part}: {time.monotonic() - started:.0f} s")


def _described(part: str) -> tuple[str, str]:
    """The title of a part, and how it measures."""
    module = ast.parse((Path(__file__).parent / f"{part}.py").read_text(encoding="utf-8"))
    title, _, how = (ast.get_docstring(module) or "").partition("\n\n")
    return title, " ".join(how.split())


if __name__ == "__main__":
    main(sys.argv[1:])
