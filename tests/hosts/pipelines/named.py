"""A pipeline with a name; with NESTED, its steps start runs of another one, from Python and from a shell."""

import os
import subprocess
import sys
from pathlib import Path

from runnable import Pipeline, PythonTask, ShellTask

OTHER = Path(__file__).with_name("parented.py")


def start_another() -> None:
    if os.environ.get("NESTED"):
        subprocess.run([sys.executable, str(OTHER)], env=os.environ | {"RUNNABLE_RUN_ID": "from-python"}, check=True)


def main() -> Pipeline:
    command = f"RUNNABLE_RUN_ID=from-shell {sys.executable} {OTHER}" if os.environ.get("NESTED") else "true"
    steps = [PythonTask(name="python", function=start_another), ShellTask(name="shell", command=command)]
    pipeline = Pipeline(steps=steps, name="train")
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
