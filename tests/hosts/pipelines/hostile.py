"""A step that fails after it has made it hard to find out why; the variable HOSTILE says how."""

import logging
import os
import sys
from pathlib import Path

from runnable import Pipeline, PythonTask, ShellTask, set_stream_queue

MEGABYTES = 100
COMMANDS = {
    "bytes": r"printf 'not \377\376 text' >&2; exit 3",
    "killed": "kill -9 $$",
    "noise": "yes 'a line of noise' | head -c 1000000 >&2; echo the last words >&2; exit 4",
    "silence": "exit 5",
}


class UnprintableError(Exception):  # noqa: D101
    def __str__(self) -> str:
        raise ValueError("not in words")


def hook() -> None:
    sys.excepthook = lambda *_: print("hooked")
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def flood() -> None:
    line = "a word and another one " * 44 + "\n"
    for _ in range(MEGABYTES * 1000):
        sys.stdout.write(line)


def surrogates() -> None:
    print("half a character: \udcff")


def elsewhere() -> None:
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")


def nowhere() -> None:
    elsewhere()
    Path.cwd().rmdir()


def silent() -> None:
    logging.disable(logging.CRITICAL)
    set_stream_queue(None)


def unprintable() -> None:
    raise UnprintableError


def fail() -> None:
    globals()[os.environ["HOSTILE"]]()
    raise ValueError("no more rows")


def main() -> Pipeline:
    how = os.environ["HOSTILE"]
    step = ShellTask(name="hard", command=COMMANDS[how]) if how in COMMANDS else PythonTask(name="hard", function=fail)
    pipeline = Pipeline(steps=[step])
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
