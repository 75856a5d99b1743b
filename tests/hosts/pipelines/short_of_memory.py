"""A program of a shell is killed; before that, the kernel may count it in the file that COUNTER names."""

import os

from runnable import Pipeline, ShellTask

KILLED = {
    "shell": "kill -KILL $$",
    "program": "sh -c 'kill -KILL $$' ; exit $?",
    "ended": "exit 1",
}


def main() -> Pipeline:
    counter = os.environ.get("COUNTER")
    count = f"echo 'oom_kill 1' > {counter}; " if counter else ""
    pipeline = Pipeline(steps=[ShellTask(name="train", command=count + KILLED[os.environ["KILLED"]])])
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
