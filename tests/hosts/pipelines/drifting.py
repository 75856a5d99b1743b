"""Its data, its rate and its code may be other ones the next time; then it fails."""

import os
from pathlib import Path

from runnable import Catalog, Pipeline, PythonTask


def load() -> tuple[float, int]:
    Path("rows.txt").write_text(os.environ.get("ROWS", "rows"), encoding="utf-8")
    Path("same.txt").write_text("same", encoding="utf-8")
    return float(os.environ.get("RATE", "0.1")), 3


def check(rate: float) -> None:
    if rate > 0.5:
        raise ValueError("the rate is too high")


def main() -> Pipeline:
    catalog = Catalog(put=["rows.txt", "same.txt"])
    steps = [
        PythonTask(name="load", function=load, returns=["rate", "epochs"], catalog=catalog),
        PythonTask(name="check", function=check),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
