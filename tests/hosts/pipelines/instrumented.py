"""Steps that call instrumented libraries, programs, threads; the last one fails until the file `mended` is there."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import tracing
from opentelemetry import trace
from runnable import Map, Parallel, Pipeline, PythonTask, ShellTask

CHILD = str(Path(__file__).with_name("child.py"))
tracing.set_up()


def span(name: str) -> None:
    with trace.get_tracer("instrumented").start_as_current_span(name):
        pass


def load() -> list[str]:
    span("own span in load")
    requests.get(os.environ["SERVER"], timeout=60)
    with sqlite3.connect(":memory:") as connection:
        connection.cursor().execute("select 1")
    subprocess.run([sys.executable, CHILD, "load"], check=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(span, ["thread in load", "thread in load"]))
    return ["left", "right"]


def work(side: str) -> None:
    span(f"own span in {side}")


def choose(which: str) -> None:
    span(f"own span in {which}")


def first() -> None:
    choose("first")


def second() -> None:
    choose("second")


def fail() -> None:
    span("own span in fragile")
    if not Path("mended").exists():
        raise RuntimeError("it is not mended")


def main() -> Pipeline:
    working = PythonTask(name="work", function=work).as_pipeline()
    branches = {
        "one": PythonTask(name="first", function=first).as_pipeline(),
        "two": PythonTask(name="second", function=second).as_pipeline(),
    }
    steps = [
        PythonTask(name="load", function=load, returns=["sides"]),
        Map(name="each side", branch=working, iterate_on="sides", iterate_as="side"),
        Parallel(name="both", branches=branches),
        ShellTask(name="shell", command=f"{sys.executable} {CHILD} shell"),
        PythonTask(name="fragile", function=fail),
    ]
    pipeline = Pipeline(steps=steps)
    before = tracing.state()
    try:
        pipeline.execute()
    finally:
        print("SAME" if tracing.state() == before else f"CHANGED {before} {tracing.state()}")
    return pipeline


if __name__ == "__main__":
    main()
