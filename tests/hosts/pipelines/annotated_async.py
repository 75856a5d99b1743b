"""Two asynchronous pipelines in one event loop, whose steps say something of themselves at the same time."""

import asyncio
import os
from contextvars import ContextVar

from runnable import AsyncPipeline, AsyncPythonTask

import runlog_otel

MEETING: list[asyncio.Event] = []
RUN = ContextVar("run", default="")


async def step() -> None:
    """Say which run this is, once both steps have begun."""
    MEETING.append(asyncio.Event())
    if len(MEETING) > 1:
        for event in MEETING:
            event.set()
    await MEETING[0].wait()
    runlog_otel.annotate(said=RUN.get())
    await asyncio.to_thread(runlog_otel.event, "said", run=RUN.get())


async def run(run_id: str) -> None:
    RUN.set(run_id)
    async for _ in AsyncPipeline(steps=[AsyncPythonTask(name="step", function=step)]).execute_streaming(run_id=run_id):
        pass


async def main() -> None:
    await asyncio.gather(*map(run, os.environ["RUNS"].split(",")))


if __name__ == "__main__":
    asyncio.run(main())
