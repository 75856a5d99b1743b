"""Steps that say something of themselves in every way: calls, spans, threads, programs, shells; the last one fails."""

import multiprocessing
import subprocess
import sys
import threading

from opentelemetry import trace
from runnable import Map, Parallel, Pipeline, PythonTask, ShellTask

import runlog_otel

SHELL = 'echo said={} >> "${{RUNNABLE_ANNOTATIONS:-/dev/null}}"'


def say(said: str) -> None:
    runlog_otel.annotate(**{f"in_{said}": said})


def load() -> list[str]:
    runlog_otel.annotate(said="load", rows=123)
    runlog_otel.event("checkpoint", epoch=3)
    trace.get_current_span().set_attribute("app.rows", 123)
    thread = threading.Thread(target=say, args=("thread",))
    thread.start()
    thread.join()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(say, ["worker"])
    subprocess.run([sys.executable, "-c", "import annotated; annotated.say('program')"], check=True)
    return ["a", "b"]


def work(part: str) -> None:
    runlog_otel.annotate(said=part)


def left() -> None:
    runlog_otel.annotate(said="left")


def fail() -> None:
    try:
        raise LookupError("handled")
    except LookupError as error:
        trace.get_current_span().record_exception(error)
    runlog_otel.annotate(said="last")
    raise ValueError("the reason")


def main() -> Pipeline:
    branches = {
        "left": PythonTask(name="work", function=left).as_pipeline(),
        "right": ShellTask(name="work", command=SHELL.format("right")).as_pipeline(),
    }
    steps = [
        PythonTask(name="load", function=load, returns=["parts"]),
        Map(
            name="each",
            branch=PythonTask(name="work", function=work).as_pipeline(),
            iterate_on="parts",
            iterate_as="part",
        ),
        Parallel(name="both", branches=branches),
        ShellTask(name="shell", command=SHELL.format("shell")),
        PythonTask(name="last", function=fail),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
