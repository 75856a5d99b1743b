"""Fails until the file `mended` is there; whatever function the file `hold` names waits there for its end."""

import time
from pathlib import Path

from runnable import Map, Pipeline, PythonTask


def hold(name: str) -> None:
    if Path("hold").exists() and Path("hold").read_text(encoding="utf-8") == name:
        Path("holding").touch()
        time.sleep(300)


def load() -> list[str]:
    hold("load")
    return ["left", "right"]


def work(side: str) -> str:
    hold(f"work {side}")
    return side


def finish() -> None:
    hold("finish")
    if not Path("mended").exists():
        raise RuntimeError("it is not whole")


def close() -> None:
    hold("close")


def main() -> Pipeline:
    working = PythonTask(name="work", function=work, returns=["worked"]).as_pipeline()
    steps = [
        PythonTask(name="load", function=load, returns=["sides"]),
        Map(name="each side", branch=working, iterate_on="sides", iterate_as="side"),
        PythonTask(name="finish it", function=finish),
        PythonTask(name="close it", function=close),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
