"""A step fails, and `on_failure` recovers the run."""

from runnable import Pipeline, PythonTask, Stub


def publish() -> None:
    raise ConnectionError("the registry does not answer")


def publish_elsewhere() -> str:
    return "mirror"


def main() -> Pipeline:
    recovery = PythonTask(name="publish elsewhere", function=publish_elsewhere, returns=["place"]).as_pipeline()
    steps = [PythonTask(name="publish", function=publish, on_failure=recovery), Stub(name="never reached")]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
