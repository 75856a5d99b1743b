"""A job: one task, without a graph."""

import os

from runnable import PythonJob, metric


def work() -> tuple[int, float]:
    if os.environ.get("JOB_FAILS"):
        raise ValueError("not today")
    return 7, 0.5


def main() -> PythonJob:
    job = PythonJob(function=work, returns=["x", metric("m")])
    job.execute()
    return job


if __name__ == "__main__":
    main()
