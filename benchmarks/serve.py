"""What `serve` costs by how many runs are stored: `python -m benchmarks.serve [--postgres URL] [--scale 1.0]`.

A real `runlog-otel serve` over a SQL store whose runs are loaded in bulk; `--scale 0.01` shrinks every size, to try it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from sqlalchemy import insert, select

from benchmarks.tables import head, median, row
from runlog_otel.hosts.runnable.stores import SqlRunLogStore
from runlog_otel.stores.entries import entry_from_job
from runlog_otel.stores.sql.upgrade import create_tables

SIZES = (1_000, 100_000, 1_000_000)
PIPELINES = 50
AT_ONCE = 20_000
ADDRESS = "127.0.0.1:19464"
_HEADER = {"dag_hash": "", "use_cached": False, "tag": "", "original_run_id": "", "job": None, "steps": {}}
_JOB = {
    "status": "SUCCESS",
    "attempts": [
        {
            "attempt_number": 1,
            "status": "SUCCESS",
            "start_time": "2026-01-01 10:00:00.123456",
            "end_time": "2026-01-01 10:00:01.234567",
        }
    ],
}


def main(arguments: Sequence[str]) -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", default="", help="URL of an empty database")
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args(arguments)
    head("store", "runs", "first read, ms a run", "idle poll, ms", "poll of 10 new runs, ms", "scrape, ms", "RSS, MiB")
    for size in SIZES:
        count = max(100, int(size * options.scale))
        with tempfile.TemporaryDirectory() as folder:
            urls = {"sqlite": f"sqlite:///{folder}/runs.db"}
            if options.postgres:
                create_tables(options.postgres, f"runs_{count}")
                urls["postgresql"] = options.postgres
            for name, url in urls.items():
                table = f"runs_{count}" if name == "postgresql" else "runnable_logs"
                _measure(name, Path(folder) / name, count, {"connection_string": url, "table_name": table})


def _measure(name: str, folder: Path, count: int, config: dict[str, Any]) -> None:
    store = SqlRunLogStore(**config, retention_days=0)
    _load(store, 0, count)
    folder.mkdir()
    source = f"{config['connection_string']}?table={config['table_name']}"
    started = time.perf_counter()
    with _serving(folder, source) as process:
        first = time.perf_counter() - started
        idle = _poll_ms(5)
        before = _metric("runlog_exporter_runs_read_total")
        _load(store, count, 10)
        while _metric("runlog_exporter_runs_read_total") < before + 10:
            time.sleep(0.02)
        busy = _poll_ms(1)
        scrape = median(lambda: urlopen(f"http://{ADDRESS}/metrics").read(), 20) * 1000
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
    store.close()
    figures = (first / count * 1000, idle, busy, scrape)
    row(name, f"{count:,}", *(f"{figure:.2f}" for figure in figures), f"{rss:.0f}")


@contextmanager
def _serving(folder: Path, source: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "runlog_otel",
        "serve",
        "--listen",
        ADDRESS,
        "--interval",
        "1s",
        "--resend",
        "none",
    ]
    command += ["--source", source]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        while not _is_ready():
            if process.poll() is not None:
                raise SystemExit((folder / "output").read_text(encoding="utf-8"))
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def _is_ready() -> bool:
    try:
        urlopen(f"http://{ADDRESS}/-/ready").close()
    except (URLError, OSError):
        return False
    return True


def _metric(name: str) -> float:
    text = urlopen(f"http://{ADDRESS}/metrics").read().decode()
    found = (line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} "))
    return float(next(found, "0"))  # ready is said before the first poll is over


def _poll_ms(polls: int) -> float:
    """The median duration of some polls, each waited for."""
    seen = []
    for _ in range(polls):
        before = _metric("runlog_exporter_last_poll_timestamp_seconds")
        if polls > 1:
            while _metric("runlog_exporter_last_poll_timestamp_seconds") == before:
                time.sleep(0.05)
        seen.append(_metric("runlog_exporter_poll_duration_seconds") * 1000)
    return statistics.median(seen)


def _load(store: SqlRunLogStore, start: int, count: int) -> None:
    """Put runs of one step each into the tables."""
    database = store.documents.database
    entry = entry_from_job(_JOB)
    columns = {key: getattr(entry, key) for key in ("identity", "kind", "key", "status", "started_ns", "ended_ns")}
    for first in range(start, start + count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, start + count))

        def work(connection: Any, numbers: range = numbers) -> None:
            tables = database.tables
            connection.execute(insert(tables.runs), [_run(number, is_new=start > 0) for number in numbers])
            newest = select(tables.runs.c.seq).order_by(tables.runs.c.seq.desc()).limit(len(numbers))
            rows = [{"run_seq": seq, "body": entry.text, **columns} for (seq,) in connection.execute(newest)]
            connection.execute(insert(tables.entries), rows)

        database.write(work)


def _run(number: int, *, is_new: bool) -> dict[str, Any]:
    now = time.time_ns() - (0 if is_new else 3600 * 10**9)
    pipeline = f"pipeline_{number % PIPELINES}"
    header = {**_HEADER, "run_id": f"run-{number}", "run_config": {"job_definition_file": pipeline}}
    times = dict.fromkeys(("created_ns", "updated_ns", "started_ns", "ended_ns", "finished_ns"), now)
    return {
        **times,
        "run_id": f"run-{number}",
        "source": "runnable",
        "pipeline": pipeline,
        "tag": "",
        "status": "SUCCESS",
        "original_run_id": "",
        "steps": 1,
        "failed_steps": 0,
        "token": "",
        "header": json.dumps(header),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
