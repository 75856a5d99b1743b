"""Steps that write secrets: `secrets.txt` line by line, over and over, in Python, and by a program."""

import os
from pathlib import Path

from runnable import Pipeline, PythonTask, ShellTask

EXPOSED = ["EXPOSED", "PHRASE"]


def whisper() -> None:
    text = Path("secrets.txt").read_text(encoding="utf-8")
    for number in range(int(os.environ["TIMES"])):
        print(number, text)
        print(os.environ["EXPOSED"], os.environ["PHRASE"])


def main() -> Pipeline:
    steps = [
        PythonTask(name="whisper", function=whisper, secrets=EXPOSED),
        ShellTask(name="shout", command="cat secrets.txt; echo 1234567 $EXPOSED $PHRASE >&2", secrets=EXPOSED),
        ShellTask(name="break", command="cat secrets.txt >&2; echo $PHRASE $PHRASE >&2; exit 3", secrets=EXPOSED),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
