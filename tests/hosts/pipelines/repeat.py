"""A loop that ends by its break condition in the third of five rounds."""

from runnable import Loop, Pipeline, PythonTask


def start() -> tuple[int, bool]:
    return 0, False


def count(rounds: int) -> tuple[int, bool]:
    return rounds + 1, rounds + 1 == 3


def main() -> Pipeline:
    branch = Pipeline(steps=[PythonTask(name="count up", function=count, returns=["rounds", "enough"])])
    steps = [
        PythonTask(name="start", function=start, returns=["rounds", "enough"]),
        Loop(name="again", branch=branch, max_iterations=5, break_on="enough", index_as="turn"),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
