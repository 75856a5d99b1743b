"""A map inside a parallel; with `enable_parallel` the host itself fails it."""

from runnable import Map, Parallel, Pipeline, PythonTask, Stub


def list_letters() -> list[str]:
    return ["a", "b"]


def spell(letter: str) -> str:
    return letter * 2


def main() -> Pipeline:
    spelling = PythonTask(name="spell", function=spell, returns=["spelled"]).as_pipeline()
    branches = {
        "letters": Map(name="each letter", branch=spelling, iterate_on="letters", iterate_as="letter"),
        "rest": Stub(name="rest"),
    }
    steps = [
        PythonTask(name="list letters", function=list_letters, returns=["letters"]),
        Parallel(name="both", branches={name: Pipeline(steps=[step]) for name, step in branches.items()}),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
