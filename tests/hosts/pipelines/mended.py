"""A step and an iteration fail until the file `mended` is there."""

from pathlib import Path

from runnable import Map, Pipeline, PythonTask


def load() -> list[str]:
    return ["left", "right"]


def work(side: str) -> str:
    if side == "right" and not Path("mended").exists():
        raise RuntimeError("the right side is broken")
    return side


def finish() -> None:
    if Path("mended").read_text(encoding="utf-8") != "whole":
        raise RuntimeError("it is not whole")


def main() -> Pipeline:
    working = PythonTask(name="work", function=work, returns=["worked"]).as_pipeline()
    steps = [
        PythonTask(name="load", function=load, returns=["sides"]),
        Map(name="each side", branch=working, iterate_on="sides", iterate_as="side"),
        PythonTask(name="finish it", function=finish),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
