"""Three steps in a row; the second one fails until the file `mended` is there."""

from pathlib import Path

from runnable import Pipeline, PythonTask


def load() -> int:
    return 3


def work() -> None:
    if not Path("mended").exists():
        raise RuntimeError("it is broken")


def close() -> None:
    print("closed")


def main() -> Pipeline:
    steps = [
        PythonTask(name="load", function=load, returns=["rows"]),
        PythonTask(name="work on it", function=work),
        PythonTask(name="close", function=close),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
