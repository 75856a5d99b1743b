"""A shell step ends with a status that is not zero."""

from runnable import Pipeline, ShellTask, Stub


def main() -> Pipeline:
    steps = [ShellTask(name="lift off", command="echo ready && exit 3"), Stub(name="never reached")]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
