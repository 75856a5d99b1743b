"""Pipelines that fail, each in its own way, as `FAILURE` says."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runnable import (
    AsyncPipeline,
    AsyncPythonTask,
    Catalog,
    Conditional,
    Map,
    Parallel,
    Pipeline,
    PythonTask,
    ShellTask,
    Stub,
)


class RegistryError(Exception):
    """The registry refuses."""


def load() -> list[str]:
    return ["north", "south", "west"]


def list_models() -> list[str]:
    return ["small", "large"]


def send(name: str) -> None:
    raise RegistryError(f"the registry refuses {name}: password=hunter2-hunter2")


def publish() -> None:
    send("the model")


def fit(model: str) -> None:
    if model == "large":
        raise MemoryError("no room for the weights")


def fail_soon() -> None:
    time.sleep(0.2)
    raise ValueError("the left branch is empty")


def fail_later() -> None:
    time.sleep(0.8)
    raise LookupError("the right branch has no key")


def work() -> None:
    time.sleep(0.1)


def work_again(region: str) -> None:
    if not Path("began").exists():
        Path("began").touch()
        raise TimeoutError(f"{region} does not answer")


def load_twice() -> list[str]:
    return ["north", "north"]


def toss() -> str:
    return "tails"


def lose() -> None:
    raise RuntimeError("lost the toss")


def clean_up() -> None:
    raise PermissionError("nobody may clean up here")


def count(rows: int) -> int:
    return rows


def score() -> None:
    import a_library_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401


async def fetch() -> None:
    await asyncio.sleep(0.01)
    send("the page")


def step(name: str, function: Callable[..., Any], **options: Any) -> PythonTask:
    return PythonTask(name=name, function=function, **options)


def one(name: str, function: Callable[..., Any]) -> Pipeline:
    return Pipeline(steps=[step(name, function)])


def nested() -> list[Any]:
    models = Map(name="each model", branch=one("fit", fit), iterate_on="models", iterate_as="model")
    branches = {"training": Pipeline(steps=[models]), "rest": Pipeline(steps=[Stub(name="rest")])}
    return [step("list models", list_models, returns=["models"]), Parallel(name="both", branches=branches)]


def pool() -> list[Any]:
    functions = {"left": fail_soon, "right": fail_later, "middle": work}
    branches = {name: one(f"work {name}", function) for name, function in functions.items()}
    return [Parallel(name="side by side", branches=branches)]


def repeated() -> list[Any]:
    branch = one("ask", work_again)
    return [
        step("load", load_twice, returns=["regions"]),
        Map(name="each region", branch=branch, iterate_on="regions", iterate_as="region"),
    ]


def conditional() -> list[Any]:
    branches = {"heads": one("win", work), "tails": one("lose", lose)}
    return [
        step("toss", toss, returns=["coin"]),
        Conditional(name="which side", branches=branches, parameter="coin"),
    ]


STEPS: dict[str, Callable[[], list[Any]]] = {
    "exception": lambda: [step("load", load, returns=["regions"]), step("publish", publish)],
    "nested map": nested,
    "pool": pool,
    "repeated": repeated,
    "shell": lambda: [ShellTask(name="copy", command="echo 'cp: the disk is full' >&2 && exit 3")],
    "catalog": lambda: [step("load", load), step("read", work, catalog=Catalog(get=["orders.csv"]))],
    "conditional": conditional,
    "recovery fails": lambda: [step("publish", publish, on_failure=one("clean up", clean_up))],
    "parameter": lambda: [step("load", load), step("count", count)],
    "import": lambda: [step("load", load), step("score", score)],
}


def main() -> Pipeline:
    pipeline = Pipeline(steps=[*STEPS[os.environ["FAILURE"]](), Stub(name="report")])
    pipeline.execute()
    return pipeline


async def main_async() -> None:
    pipeline = AsyncPipeline(name="fetching", steps=[AsyncPythonTask(name="fetch", function=fetch), Stub(name="keep")])
    async for event in pipeline.execute_streaming():
        print(event)


if __name__ == "__main__":
    if os.environ["FAILURE"] == "async":
        asyncio.run(main_async())
    else:
        main()
