"""Asynchronous steps that write, one of which fails."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from runnable import AsyncPipeline, AsyncPythonTask


async def answer() -> AsyncIterator[dict[str, Any]]:
    print("before the first word")
    await asyncio.sleep(0)
    yield {"type": "word", "text": "fair"}
    print("after the last word")
    yield {"type": "done", "words": 1}


async def check(words: int) -> None:
    print("checking")
    await asyncio.sleep(0)
    raise ValueError(f"{words} word")


async def main() -> None:
    steps = [
        AsyncPythonTask(name="answer", function=answer, returns=["words"]),
        AsyncPythonTask(name="check", function=check),
    ]
    async for _ in AsyncPipeline(steps=steps, name="talking").execute_streaming():
        pass


if __name__ == "__main__":
    asyncio.run(main())
