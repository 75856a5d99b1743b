"""What the wrapper costs a pipeline: `python -m benchmarks.overhead [ROUNDS]`.

Each round runs every case once, in turn, so that a machine that slows down slows all of them.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STEPS = 50
_PIPELINE = f"""\
from runnable import Pipeline, PythonTask

def work():
    pass

def main():
    pipeline = Pipeline(steps=[PythonTask(name=f"step {{n}}", function=work) for n in range({STEPS})])
    pipeline.execute()
    return pipeline

if __name__ == "__main__":
    main()
"""
_STORE = "{type: chunked-fs, config: {log_folder: .run_log_store}}"
_IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
_HOST, _WRAPPER = "runnable.cli", "runnable.cli, runlog_otel.hosts.runnable.wrapper"


def main(rounds: int) -> None:
    """Print the medians of every case, and what each adds to the pipeline without the wrapper."""
    with _acknowledging() as up, _silent() as silent:
        cases: dict[str, str | None] = {
            "without the wrapper": None,
            "exporter: none": "none",
            "backend up": up,
            "backend closed": "http://127.0.0.1:9",
            "backend silent": silent,
        }
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        imports: dict[str, list[float]] = {_HOST: [], _WRAPPER: []}
        for number in range(rounds + 1):
            for name, endpoint in cases.items():
                seconds[name].append(_pipeline(endpoint))
            for modules, found in imports.items():
                found.append(_import(modules))
            print(f"round {number} of {rounds}{' (warm-up)' if not number else ''}", file=sys.stderr)
    base = statistics.median(seconds["without the wrapper"][1:])
    print(f"a pipeline of {STEPS} steps, whole process, chunked-fs, median of {rounds} rounds\n")
    print("| case | seconds | adds | ratio |\n| --- | --- | --- | --- |")
    for name, found in seconds.items():
        median = statistics.median(found[1:])
        print(f"| {name} | {median:.2f} | {median - base:+.2f} | {median / base:.2f} |")
    host, wrapper = (statistics.median(found[1:]) for found in imports.values())
    print(f"\nimport of the host's command: {host:.3f} s; with the wrapper: {wrapper:.3f} s ({wrapper - host:+.3f} s)")


def _pipeline(endpoint: str | None) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pipeline.py").write_text(_PIPELINE)
        telemetry = {"exporter": "none"} if endpoint == "none" else {"endpoint": endpoint}
        wrapped = f"{{type: otel, config: {{inner: {_STORE}, telemetry: {json.dumps(telemetry)}}}}}"
        (folder / "runnable-config.yaml").write_text(f"run-log-store: {wrapped if endpoint else _STORE}\n")
        start = time.perf_counter()
        subprocess.run([sys.executable, "pipeline.py"], cwd=folder, check=True, capture_output=True, env=_environment())
        return time.perf_counter() - start


def _import(modules: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT.format(modules)], check=True, capture_output=True, text=True, env=_environment()
    )
    return float(done.stdout.split()[-1])


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "RUNNABLE_"))}


@contextmanager
def _acknowledging() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the standard library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def _silent() -> Iterator[str]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
