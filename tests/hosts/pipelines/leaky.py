"""Puts secrets wherever a user could put them, by accident or not: `canaries.json` says what stands where."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import StatusCode
from runnable import Catalog, Map, Pipeline, PythonTask, ShellTask, metric, pickled

import runlog_otel

CANARIES = json.loads(Path("canaries.json").read_text(encoding="utf-8"))
SECRETS = ["EXPOSED"]


class Thing:
    """An object that holds a secret."""

    def __init__(self) -> None:
        self.secret = CANARIES["object"]


def give(given: str) -> tuple[str, dict[str, Any], Thing, str]:
    Path(CANARIES["file"]).write_text(CANARIES["content"], encoding="utf-8")
    print("given", given, CANARIES["stdout"])
    runlog_otel.annotate(said=CANARIES["annotation"], listed=[CANARIES["annotation"]], held={"in": CANARIES["content"]})
    runlog_otel.annotate(**{CANARIES["annotation"]: "as a name"})
    runlog_otel.event(CANARIES["event"], said=CANARIES["event"], **{CANARIES["event"]: "as a name"})
    span = trace.get_current_span()
    span.set_status(StatusCode.ERROR, CANARIES["event"])
    span.record_exception(ValueError(CANARIES["exception"]), {"said": CANARIES["annotation"]})
    program = "import json, runlog_otel as r; r.event('program', **json.load(open('canaries.json')))"
    subprocess.run([sys.executable, "-c", program], check=True)
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
    said = f"echo said='{CANARIES['shell']}' >> ${{RUNNABLE_ANNOTATIONS:-/dev/null}}"
    command = f"echo '{CANARIES['shell']}' >&2; {said}; exit 3"
    return ShellTask(name="shell", command=command, terminate_with_failure=True).as_pipeline()


if __name__ == "__main__":
    main()
