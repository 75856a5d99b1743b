"""Puts secrets wherever a user could put them, by accident or not: `canaries.json` says what stands where."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from runnable import Catalog, Map, Pipeline, PythonTask, ShellTask, metric, pickled

CANARIES = json.loads(Path("canaries.json").read_text(encoding="utf-8"))
SECRETS = ["EXPOSED"]


class Thing:
    """An object that holds a secret."""

    def __init__(self) -> None:
        self.secret = CANARIES["object"]


def give(given: str) -> tuple[str, dict[str, Any], Thing, str]:
    Path(CANARIES["file"]).write_text(CANARIES["content"], encoding="utf-8")
    print("given", given, CANARIES["stdout"])
    return CANARIES["output"], {"nested": [CANARIES["nested"]]}, Thing(), CANARIES["metric"]


def listed() -> list[str]:
    return [CANARIES["value"]]


def work(value: str) -> str:
    return value


def fail(output: str) -> None:
    print(CANARIES["stderr"], os.environ["EXPOSED"], file=sys.stderr)
    raise ValueError(f"{output} and {CANARIES['exception']}")


def main() -> Pipeline:
    giving = PythonTask(
        name="give",
        function=give,
        returns=["output", "nest", pickled("thing"), metric("measured")],
        catalog=Catalog(put=[CANARIES["file"]]),
    )
    each = PythonTask(name="work", function=work, returns=["worked"]).as_pipeline()
    steps = [
        giving,
        PythonTask(name="list", function=listed, returns=["values"]),
        Map(name="each", branch=each, iterate_on="values", iterate_as="value"),
        PythonTask(name="break", function=fail, secrets=SECRETS, on_failure=recovery()),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute(tag=CANARIES["tag"], parameters_file="parameters.yaml")
    return pipeline


def recovery() -> Pipeline:
    command = f"echo '{CANARIES['shell']}' >&2; exit 3"
    return ShellTask(name="shell", command=command, terminate_with_failure=True).as_pipeline()


if __name__ == "__main__":
    main()
