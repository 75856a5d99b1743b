"""A pipeline whose steps say something of themselves: it is on their spans, in `runlog-otel show` and in the run log.

Without the wrapper, and outside of a step, the same code runs and says nothing.
"""

from opentelemetry import trace
from runnable import Pipeline, PythonTask, ShellTask

import runlog_otel


def load() -> int:
    rows = 1200
    runlog_otel.annotate(rows=rows, source="warehouse")
    return rows


def train(rows: int) -> float:
    loss = 1.0
    for epoch in range(3):
        loss /= 2
        runlog_otel.event("checkpoint", epoch=epoch, loss=loss)
    trace.get_current_span().set_attribute("app.loss", loss)  # the same, with OpenTelemetry
    return loss


def main() -> Pipeline:
    shell = 'echo files=3 >> "${RUNNABLE_ANNOTATIONS:-/dev/null}"'
    steps = [
        PythonTask(name="load", function=load, returns=["rows"]),
        PythonTask(name="train", function=train, returns=["loss"]),
        ShellTask(name="publish", command=shell),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
