"""An asynchronous pipeline whose steps make spans before and after they wait, and in a task of their own."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import requests
import tracing
from opentelemetry import trace
from runnable import AsyncPipeline, AsyncPythonTask

tracing.set_up()


def span(name: str) -> None:
    with trace.get_tracer("instrumented").start_as_current_span(name):
        pass


async def ask(name: str) -> None:
    await asyncio.sleep(0.01)
    span(name)


async def answer() -> AsyncIterator[dict[str, Any]]:
    span("before the first word")
    await asyncio.gather(ask("a task"), ask("a task"))
    yield {"type": "word", "text": "fair"}
    span("after the first word")
    await asyncio.to_thread(requests.get, os.environ["SERVER"], timeout=60)
    yield {"type": "done", "words": 1}


async def check(words: int) -> None:
    await ask("in check")
    raise ValueError(f"{words} word")


async def main() -> None:
    steps = [
        AsyncPythonTask(name="answer", function=answer, returns=["words"]),
        AsyncPythonTask(name="check", function=check),
    ]
    before = tracing.state()
    try:
        async for _ in AsyncPipeline(steps=steps, name="streaming").execute_streaming():
            pass
    finally:
        print("SAME" if tracing.state() == before else f"CHANGED {before} {tracing.state()}")


if __name__ == "__main__":
    asyncio.run(main())
