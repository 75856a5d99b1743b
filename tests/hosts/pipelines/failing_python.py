"""The second step raises, the third is never reached."""

from runnable import Pipeline, PythonTask, Stub


def load() -> int:
    return 3


def explode() -> None:
    raise ValueError("no more rows")


def main() -> Pipeline:
    steps = [
        PythonTask(name="load", function=load, returns=["rows"]),
        PythonTask(name="explode", function=explode),
        Stub(name="never reached"),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
