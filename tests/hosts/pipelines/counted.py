"""Two steps and a map; an attempt of the map's step fails in the first run of some runs, a step of theirs in others."""

import os

from runnable import Map, Pipeline, PythonTask, metric

FAULT = os.environ.get("FAULT", "")


def load() -> tuple[list[str], int]:
    return ["left", "right"], 42


def work(side: str) -> str:
    if side == "right" and FAULT == "work":
        raise RuntimeError("the right side is broken")
    return side


def finish() -> None:
    if FAULT == "finish":
        raise ValueError("it cannot be finished")


def main() -> Pipeline:
    working = PythonTask(name="work", function=work, returns=["worked"]).as_pipeline()
    steps = [
        PythonTask(name="load", function=load, returns=["sides", metric("rows")]),
        Map(name="each side", branch=working, iterate_on="sides", iterate_as="side"),
        PythonTask(name="finish it", function=finish),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
