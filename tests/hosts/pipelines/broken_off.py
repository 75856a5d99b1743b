"""A run that is broken off in its second step, or right after it, as `HOW` says."""

import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from extensions.run_log_store.file_system import FileSystemRunLogstore
from runnable import AsyncPipeline, AsyncPythonTask, Catalog, Parallel, Pipeline, PythonTask
from runnable.defaults import LOGGER_NAME

HOW = os.environ["HOW"]


class StoppedError(Exception):
    """What a handler of signals raises, and the host takes for the failure of a step."""


def leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def time_out(_: int, __: FrameType | None) -> None:
    raise StoppedError("the time is up")


def get_interrupted(record: logging.LogRecord) -> bool:
    if record.getMessage().startswith("Finished executing the node"):
        signal.raise_signal(signal.SIGINT)
    return True


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def load() -> None:
    print("loaded")


def work() -> None:
    match HOW:
        case "ctrl-c" | "parallel":
            os.killpg(os.getpgrp(), signal.SIGINT)  # as a terminal does
            time.sleep(60)
        case "sigterm" | "sigterm-default":
            signal.raise_signal(signal.SIGTERM)
        case "sigkill":
            signal.raise_signal(signal.SIGKILL)
        case "alarm" | "deadline":
            signal.raise_signal(signal.SIGALRM)
        case "exit":
            sys.exit("password=hunter2-hunter2 is wrong")
        case "full-store":
            FileSystemRunLogstore.add_step_log = refuse
        case "no-store":
            shutil.rmtree(".run_log_store")


async def work_async() -> None:
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(60)


def steps() -> list[Any]:
    catalog = Catalog(put=["nothing.txt"]) if HOW == "catalog" else None
    working = PythonTask(name="work", function=work, catalog=catalog)
    if HOW == "parallel":
        return [Parallel(name="both", branches={side: working.as_pipeline() for side in ("left", "right")})]
    return [PythonTask(name="load", function=load), working, PythonTask(name="close", function=load)]


def main() -> Pipeline:
    if HOW == "sigterm":
        signal.signal(signal.SIGTERM, leave)
    if HOW in ("alarm", "deadline"):
        signal.signal(signal.SIGALRM, time_out if HOW == "alarm" else leave)
    if HOW == "between":
        logging.getLogger(LOGGER_NAME).addFilter(get_interrupted)
    pipeline = Pipeline(steps=steps())
    pipeline.execute(log_level="INFO")
    return pipeline


async def main_async() -> None:
    pipeline = AsyncPipeline(name="streaming", steps=[AsyncPythonTask(name="work", function=work_async)])
    async for event in pipeline.execute_streaming():
        print(event)


if __name__ == "__main__":
    if HOW == "async":
        asyncio.run(main_async())
    elif os.environ.get("CAUGHT"):
        with suppress(BaseException):
            main()
        print("went on")
    else:
        main()
