"""Each step waits until the folder `open` has a file of its name; the last one fails if it finds the file `broken`.

A step that waits makes a file of its name in the folder `waiting`.
"""

import os
import time
from pathlib import Path

from runnable import Map, Parallel, Pipeline, PythonTask

HOSTILE = "\x1b]0;owned\x07\x1b[2J [bold]markup[/bold] \u202eesrever\u200b"


def gate(name: str) -> None:
    (Path("waiting") / name).touch()
    while not (Path("open") / name).exists() and not Path("open/all").exists():
        time.sleep(0.02)


def load() -> list[str]:
    gate("load")
    return ["left", "right"]


def work(side: str) -> str:
    gate(f"work {side}")
    return side


def fit() -> None:
    gate("fit")


def ship() -> None:
    gate("ship")
    if Path("broken").exists():
        raise ValueError(HOSTILE)


def main() -> Pipeline:
    working = Pipeline(steps=[PythonTask(name="work", function=work, returns=["worked"])])
    fitting = Pipeline(steps=[PythonTask(name="fit", function=fit)])
    steps = [
        PythonTask(name="load", function=load, returns=["sides"]),
        Map(name="each side", branch=working, iterate_on="sides", iterate_as="side"),
        Parallel(name="train", branches={"model": fitting}),
        PythonTask(name=os.environ.get("LAST_STEP", "ship it"), function=ship),
    ]
    pipeline = Pipeline(name="gated", steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
