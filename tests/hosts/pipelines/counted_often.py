"""Runs the pipeline of `counted` for each number given; some runs fail, some of those are retried until they succeed.

Each number is written to the file `begun` when its run begins.
"""

import contextvars
import os
import sys
from contextlib import suppress
from pathlib import Path

import counted


def run(run_id: str, fault: str, *, is_retry: bool = False) -> None:
    counted.FAULT = fault
    os.environ["RUNNABLE_RUN_ID"] = run_id
    os.environ.pop("RUNNABLE_RETRY_RUN_ID", None)
    if is_retry:
        os.environ["RUNNABLE_RETRY_RUN_ID"] = run_id
    with suppress(Exception, SystemExit):  # how the host ends a run that failed
        contextvars.Context().run(counted.main)  # within one context, the host runs one pipeline


def main(numbers: list[str]) -> None:
    for number in map(int, numbers):
        with Path("begun").open("a", encoding="utf-8") as begun:
            begun.write(f"{number}\n")
        fault = {0: "work", 5: "finish"}.get(number % 10, "")
        run(f"run {number}", fault)
        if fault and number % 20 < 10:
            run(f"run {number}", fault, is_retry=True)
            run(f"run {number}", "", is_retry=True)


if __name__ == "__main__":
    main(sys.argv[1:])
