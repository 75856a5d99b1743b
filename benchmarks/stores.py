"""What the stores cost, side by side in one run: `python -m benchmarks.stores [--postgres URL] [--scale 1.0]`.

`--scale 0.01` shrinks every size, to try the script. Runs that are only there to be many are loaded in bulk,
through the same tables; what is measured goes through the plugin, call by call.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from extensions.run_log_store.chunked_fs import ChunkedFileSystemRunLogStore
from extensions.run_log_store.file_system import FileSystemRunLogstore
from runnable.datastore import JsonParameter, RunLog, StepAttempt, StepLog
from sqlalchemy import insert

from benchmarks.tables import head, median, row
from runlog_otel.hosts.runnable.stores import SqlRunLogStore
from runlog_otel.stores.entries import text_from_value
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.upgrade import create_tables

Stores = dict[str, Any]
REPEATS = 100


def main(arguments: Sequence[str]) -> None:
    """Print a table for each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", default="", help="URL of an empty database")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args(arguments)
    for question in (step_cost, total_cost, read_cost, list_cost, size):
        with tempfile.TemporaryDirectory() as folder:
            stores = _stores(Path(folder), options.postgres, question.__name__)
            print(f"\n### {question.__doc__}\n", flush=True)
            question(stores, options.scale)
            for store in stores.values():
                if isinstance(store, SqlRunLogStore):
                    store.close()


def step_cost(stores: Stores, scale: float) -> None:
    """Milliseconds of one `add_step_log`, by the number of steps that the run has"""
    sizes = [max(1, int(count * scale)) for count in (10, 1_000, 10_000, 100_000)]
    head("store", *(f"{count:,} steps" for count in sizes), "last : first")
    for name, store in stores.items():
        medians = []
        for count in sizes:
            run_id = f"run-{count}"
            store.put_run_log(_run(run_id, count))
            repeats = REPEATS if isinstance(store, SqlRunLogStore) else 1 if count > 10_000 else 3
            medians.append(median(partial(store.add_step_log, _step("new"), run_id), repeats) * 1000)
        row(name, *(f"{median:,.2f}" for median in medians), f"{medians[-1] / medians[0]:,.1f}")


def total_cost(stores: Stores, scale: float) -> None:
    """Seconds for a run of 2,000 steps, two `add_step_log` each"""
    count = int(2000 * scale)
    seconds = {}
    for name, store in stores.items():
        store.create_run_log("r")
        started = time.perf_counter()
        for number in range(count):
            step = _step(f"step-{number}")
            step.status = "PROCESSING"
            store.add_step_log(step, "r")
            store.add_step_log(_step(f"step-{number}"), "r")
        seconds[name] = time.perf_counter() - started
    head("store", "seconds", "ratio to sqlite")
    for name, value in seconds.items():
        row(name, f"{value:,.2f}", f"{value / seconds['sqlite']:,.1f}")


def read_cost(stores: Stores, scale: float) -> None:
    """Seconds to read a run of 10,000 steps whole"""
    run_log = _run("r", int(10_000 * scale))
    text = text_from_value(run_log.model_dump())
    parsing = median(lambda: json.loads(text), 5)
    building = median(lambda: RunLog(**json.loads(text)), 5)
    head("", "document", "ratio to parsing", "run log", "ratio to parsing and building")
    row("the same JSON from memory", f"{parsing:.3f}", "1.0", f"{building:.3f}", "1.0")
    for name, store in stores.items():
        store.put_run_log(run_log)
        whole = median(partial(store.get_run_log_by_id, "r", full=True), 5)
        document, ratio = "", ""
        if isinstance(store, SqlRunLogStore):
            seconds = median(partial(store.documents.document, "r"), 5)
            document, ratio = f"{seconds:.3f}", f"{seconds / parsing:.1f}"
        row(name, document, ratio, f"{whole:.3f}", f"{whole / building:.1f}")


def list_cost(stores: Stores, scale: float) -> None:
    """Milliseconds of one list page of 50 runs, among 1,000,000 runs"""
    count = int(1_000_000 * scale)
    pages = {"page 1": 1, "page 1,000": 1_000 * scale, "page 10,000": 10_000 * scale, "last page": count / 50}
    head("store", *pages, "page 1 of a tag", "last : first")
    for name, store in stores.items():
        if not isinstance(store, SqlRunLogStore):
            continue
        _load_runs(store, count)
        history = RunHistory(store.documents)
        medians = []
        for page in pages.values():
            begin = count - int(50 * (page - 1))
            after = None if page == 1 else f"{begin}.{begin}"
            medians.append(median(partial(history.page, after=after), 30) * 1000)
        tagged = median(partial(history.page, RunFilter(tag="tag-7")), 30) * 1000
        shown = (f"{median:.2f}" for median in medians)
        row(name, *shown, f"{tagged:.2f}", f"{medians[-1] / medians[0]:.1f}")


def size(stores: Stores, scale: float) -> None:
    """Bytes on disk per run, of 1,000 runs with 10 steps each"""
    count = int(1000 * scale)
    bytes_per_run = {}
    for name, store in stores.items():
        for number in range(count):
            store.put_run_log(_run(f"run-{number}", 10))
        if isinstance(store, SqlRunLogStore):
            total = RunHistory(store.documents).stats().size_bytes
        else:
            total = sum(_blocks(path) for path in Path(store.log_folder).rglob("*.json"))
        bytes_per_run[name] = total / count
    head("store", "bytes", "ratio to file-system")
    for name, value in bytes_per_run.items():
        row(name, f"{value:,.0f}", f"{value / bytes_per_run['file-system']:.2f}")


def _stores(folder: Path, postgres: str, question: str) -> Stores:
    stores: Stores = {"sqlite": SqlRunLogStore(connection_string=f"sqlite:///{folder}/runs.db", retention_days=0)}
    if postgres:
        create_tables(postgres, question)
        stores["postgresql"] = SqlRunLogStore(connection_string=postgres, table_name=question, retention_days=0)
    stores["file-system"] = FileSystemRunLogstore(log_folder=f"{folder}/files")
    stores["chunked-fs"] = ChunkedFileSystemRunLogStore(log_folder=f"{folder}/chunks")
    return stores


def _run(run_id: str, count: int) -> RunLog:
    steps = {f"step-{number}": _step(f"step-{number}") for number in range(count)}
    return RunLog(run_id=run_id, dag_hash="", status="PROCESSING", steps=steps)


def _step(name: str) -> StepLog:
    parameters = {"rows": JsonParameter(kind="json", value=1200), "name": JsonParameter(kind="json", value="orders")}
    attempt = StepAttempt(
        start_time="2026-01-01 10:00:00.123456",
        end_time="2026-01-01 10:00:01.234567",
        status="SUCCESS",
        input_parameters=parameters,
        output_parameters=parameters,
    )
    return StepLog(name=name, internal_name=name, status="SUCCESS", attempts=[attempt])


def _load_runs(store: SqlRunLogStore, count: int) -> None:
    database = store.documents.database

    def rows(start: int) -> Iterator[dict[str, Any]]:
        for number in range(start, min(start + 50_000, count)):
            yield {
                "run_id": f"run-{number}",
                "source": "runnable",
                "pipeline": f"pipeline-{number % 50}",
                "tag": f"tag-{number % 1000}",
                "status": "FAIL" if number % 10 == 0 else "SUCCESS",
                "original_run_id": "",
                "created_ns": number,
                "updated_ns": number,
                "started_ns": number,
                "ended_ns": number,
                "finished_ns": number,
                "steps": 10,
                "failed_steps": 0,
                "token": "",
                "header": f'{{"run_id":"run-{number}","dag_hash":"","tag":"","status":"SUCCESS"}}',
            }

    for start in range(0, count, 50_000):
        database.write(
            lambda connection, start=start: connection.execute(insert(database.tables.runs), list(rows(start)))
        )


def _blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


if __name__ == "__main__":
    main(sys.argv[1:])
