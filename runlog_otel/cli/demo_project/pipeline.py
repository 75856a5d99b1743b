"""A small pipeline: load, a map over regions, a report; one step fails and another one recovers it.

Run it with `python pipeline.py`.
"""

import time

from runnable import Map, Parallel, Pipeline, PythonTask, metric


def load_orders():
    """Say which regions there are."""
    time.sleep(0.12)
    return ["north", "south", "west"], 1200


def clean(region):
    """Clean the orders of one region."""
    time.sleep(0.05 + 0.02 * len(region))
    return f"{region}: clean"


def fit():
    """Fit a model."""
    time.sleep(0.25)
    return 0.93


def compare():
    """Compare with last week's model."""
    time.sleep(0.1)


def publish():
    """Fail, as the first try to publish anything does."""
    time.sleep(0.08)
    raise ConnectionError("the registry does not answer")


def publish_to_mirror():
    """Publish elsewhere."""
    time.sleep(0.1)


def main():
    """Define the pipeline, and run it."""
    cleaning = Pipeline(steps=[PythonTask(name="clean", function=clean, returns=["cleaned"])])
    training = Parallel(
        name="train",
        branches={
            "fit": Pipeline(steps=[PythonTask(name="fit", function=fit, returns=[metric("accuracy")])]),
            "compare": Pipeline(steps=[PythonTask(name="compare", function=compare)]),
        },
    )
    recovery = Pipeline(steps=[PythonTask(name="publish to mirror", function=publish_to_mirror)])
    pipeline = Pipeline(
        steps=[
            PythonTask(name="load orders", function=load_orders, returns=["regions", metric("orders")]),
            Map(name="clean regions", branch=cleaning, iterate_on="regions", iterate_as="region"),
            training,
            PythonTask(name="publish", function=publish, on_failure=recovery),
        ]
    )
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
