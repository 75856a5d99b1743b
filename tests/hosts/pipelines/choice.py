"""A conditional takes one of two branches."""

from runnable import Conditional, Pipeline, PythonTask


def toss() -> str:
    return "heads"


def heads() -> str:
    return "won"


def tails() -> str:
    return "lost"


def main() -> Pipeline:
    branches = {
        "heads": PythonTask(name="when heads", function=heads, returns=["outcome"]).as_pipeline(),
        "tails": PythonTask(name="when tails", function=tails, returns=["outcome"]).as_pipeline(),
    }
    steps = [
        PythonTask(name="toss", function=toss, returns=["coin"]),
        Conditional(name="which side", branches=branches, parameter="coin"),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
