"""Steps with a burden: in Python, in a program of a shell, and in four iterations of a map; then one without."""

import sys

import burden
from runnable import Map, Pipeline, PythonTask, ShellTask, metric


def alone() -> tuple[list[str], int]:
    return ["a", "b", "c", "d"], burden.carry("alone")


def work(part: str) -> int:
    before: int = burden.carry(part)
    return before


def main() -> Pipeline:
    branch = Pipeline(steps=[PythonTask(name="work", function=work, returns=[metric("before")])])
    steps = [
        PythonTask(name="alone", function=alone, returns=["parts", metric("before")]),
        Map(name="each", branch=branch, iterate_on="parts", iterate_as="part"),
        ShellTask(name="shell", command=f"{sys.executable} -S burden.py shell; true"),
        PythonTask(name="light", function=burden.resident, returns=[metric("before")]),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
