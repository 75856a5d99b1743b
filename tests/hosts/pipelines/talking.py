"""Steps that write: Python on both streams and by logging, in iterations, programs, and one that fails."""

import logging
import sys

from runnable import Map, Pipeline, PythonTask, ShellTask


def load() -> tuple[int, list[str]]:
    print("loading")
    print("half of it", file=sys.stderr)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", force=True, stream=sys.stdout)
    logging.getLogger("talking").error("no row is %s", "blue")
    return 3, ["north", "south"]


def clean(region: str) -> None:
    print("cleaning", region)


def explode() -> None:
    print("about to fail")
    raise ValueError("no more rows")


def main() -> Pipeline:
    each = PythonTask(name="clean", function=clean).as_pipeline()
    steps = [
        PythonTask(name="load", function=load, returns=["rows", "regions"]),
        Map(name="each", branch=each, iterate_on="regions", iterate_as="region"),
        ShellTask(name="report", command="echo $rows rows; echo careful >&2"),
        ShellTask(name="mumble", command="printf 'no end of line'"),
        PythonTask(name="explode", function=explode),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
