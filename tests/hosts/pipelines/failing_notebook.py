"""A notebook fails in its second cell."""

import json
from pathlib import Path

from runnable import NotebookTask, Pipeline, Stub

NOTEBOOK = "book.ipynb"
CELLS = ["print('a page')", "def turn():\n    raise LookupError('no page in the notebook')\nturn()"]


def write() -> None:
    cells: list[dict[str, object]] = [
        {"cell_type": "code", "execution_count": None, "id": f"c{at}", "metadata": {}, "outputs": [], "source": source}
        for at, source in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    Path(NOTEBOOK).write_text(json.dumps(book), encoding="utf-8")


def main() -> Pipeline:
    write()
    pipeline = Pipeline(steps=[NotebookTask(name="read", notebook=NOTEBOOK), Stub(name="never reached")])
    pipeline.execute()
    return pipeline


if __name__ == "__main__":
    main()
