"""Three steps with spaces in their names, parameters, metrics, a file in the catalog, and a tag."""

from pathlib import Path
from typing import Any

from runnable import Catalog, Pipeline, PythonTask, ShellTask, metric


def load() -> tuple[int, float]:
    Path("data.txt").write_text("rows\n", encoding="utf-8")
    return 1200, 0.75


def train(rows: int) -> tuple[dict[str, Any], bool]:
    return {"train": {"first": 0.5, "epochs": rows // 100}, "note": "best of three"}, True


def main() -> Pipeline:
    steps = [
        PythonTask(
            name="load data", function=load, returns=["rows", metric("coverage")], catalog=Catalog(put=["data.txt"])
        ),
        PythonTask(
            name="train the model",
            function=train,
            returns=[metric("loss"), metric("converged")],
            catalog=Catalog(get=["data.txt"]),
        ),
        ShellTask(name="report", command="echo $rows rows"),
    ]
    pipeline = Pipeline(steps=steps)
    pipeline.execute(tag="nightly")
    return pipeline


if __name__ == "__main__":
    main()
