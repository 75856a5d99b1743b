"""A step succeeds, and the host raises as a file for the catalog is missing; the program goes on, and runs a step."""

import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import tracing
from opentelemetry import trace
from runnable import Catalog, Pipeline, PythonTask, get_stream_queue
from runnable.context import set_run_context
from runnable.defaults import LOGGER_NAME

tracing.set_up()
NESTED = "NESTED"


def work() -> None:
    with trace.get_tracer("unfinished").start_as_current_span("own span"):
        if run_id := os.environ.get(NESTED):
            variables = os.environ | {"RUNNABLE_RUN_ID": run_id, NESTED: ""}
            subprocess.run([sys.executable, str(Path(__file__).with_name("sequential.py"))], env=variables, check=True)


def main() -> Pipeline:
    pipeline = Pipeline(steps=[PythonTask(name="work", function=work, catalog=Catalog(put=["nothing.txt"]))])
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    before = tracing.state()
    with suppress(Exception):
        main()
    print("QUEUE" if get_stream_queue() else "NO QUEUE", "FILTERS", len(logging.getLogger(LOGGER_NAME).filters))
    print("SAME" if tracing.state() == before else f"CHANGED {before} {tracing.state()}")
    os.environ["RUNNABLE_RUN_ID"] = "afterwards"
    set_run_context(None)  # else the host takes the call for a question after the definition
    with suppress(Exception):
        main()
