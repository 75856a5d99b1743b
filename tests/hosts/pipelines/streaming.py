"""An asynchronous pipeline that streams events to its caller."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from runnable import AsyncPipeline, AsyncPythonTask, metric


async def answer() -> AsyncIterator[dict[str, Any]]:
    for word in ("fair", "enough"):
        await asyncio.sleep(0)
        yield {"type": "word", "text": word}
    yield {"type": "done", "words": 2, "seconds": 0.25}


async def check(words: int) -> None:
    await asyncio.sleep(0)
    if words != 2:
        raise ValueError(f"{words} words")


async def main() -> None:
    steps = [
        AsyncPythonTask(name="stream an answer", function=answer, returns=["words", metric("seconds")]),
        AsyncPythonTask(name="check", function=check),
    ]
    async for event in AsyncPipeline(steps=steps, name=os.environ.get("NAME", "streaming")).execute_streaming():
        print("EVENT", event)


if __name__ == "__main__":
    asyncio.run(main())
