"""A map over values, one of them with a space; the iteration `broken`, if there is one, fails."""

import os

from runnable import Map, Pipeline, PythonTask, Stub, metric


def list_regions() -> list[str]:
    return os.environ.get("REGIONS", "north,south west,3").split(",")


def clean(region: str) -> tuple[str, int]:
    if region == "broken":
        raise ValueError("no such region")
    return region.upper(), len(region)


def main() -> Pipeline:
    branch = Pipeline(steps=[PythonTask(name="clean", function=clean, returns=["cleaned", metric("size")])])
    steps = [
        PythonTask(name="list regions", function=list_regions, returns=["regions"]),
        Map(name="each region", branch=branch, iterate_on="regions", iterate_as="region"),
        Stub(name="join"),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
