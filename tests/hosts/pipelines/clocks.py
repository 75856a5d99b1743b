"""Steps of processes in other time zones, and a step that goes on until its clock is put back an hour."""

import os
import sys
import time

from runnable import Pipeline, PythonTask

if "execute-single-node" in sys.argv and "STEP_ZONE" in os.environ:  # as an image's zone is not the machine's
    os.environ["TZ"] = os.environ["STEP_ZONE"]
    time.tzset()


def load() -> int:
    time.sleep(0.2)
    return 1


def wait() -> None:
    if "TILL_WINTER" in os.environ:
        while time.localtime().tm_isdst:
            time.sleep(0.05)


def travel() -> None:
    os.environ["TZ"] = os.environ.get("TRAVELS_TO") or os.environ["TZ"]
    time.tzset()
    if os.environ.get("FAILS"):
        raise ValueError("lost")


def main() -> Pipeline:
    steps = [PythonTask(name=task.__name__, function=task) for task in (load, wait, travel)]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
