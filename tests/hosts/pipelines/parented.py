"""A step notes what its environment names: parent, state, baggage. It fails until the file `mended` is there."""

import os
from pathlib import Path

from runnable import Pipeline, PythonTask


def work() -> None:
    with Path("parents").open("a", encoding="utf-8") as file:
        file.write(os.environ["TRACEPARENT"] + "\n")
    Path("state").write_text(f"{os.environ.get('TRACESTATE')} {os.environ.get('BAGGAGE')}", encoding="utf-8")
    if not Path("mended").exists():
        raise RuntimeError("it is broken")


def main() -> Pipeline:
    pipeline = Pipeline(steps=[PythonTask(name="work on it", function=work)])
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
