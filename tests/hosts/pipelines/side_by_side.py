"""Branches side by side, with spaces in their steps' names; one of them fails when it is told to."""

import os

from runnable import Parallel, Pipeline, PythonTask, Stub, metric


def fit() -> float:
    return 0.93


def compare() -> int:
    if os.environ.get("FAILS"):
        raise ValueError("nothing to compare with")
    return 7


def main() -> Pipeline:
    branches = {
        "training": Pipeline(
            steps=[PythonTask(name="fit a model", function=fit, returns=[metric("accuracy")]), Stub(name="keep it")]
        ),
        "comparison": PythonTask(name="compare", function=compare, returns=["rank"]).as_pipeline(),
    }
    pipeline = Pipeline(steps=[Parallel(name="side by side", branches=branches), Stub(name="join")])
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
