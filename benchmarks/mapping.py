"""Mapping and encoding

The pure functions, on runs of 50 steps, in CPU time; every round maps other runs, so that no result is reused.
Encoding ends with the bytes of requests of 512 spans; its reference is the stock `encode_spans` on the same spans of
the SDK. Instructions are counted by `perf`, or by callgrind where the machine has no counter: what a process that
handles three runs executes beyond one that handles one, so neither imports nor neighbours count. gzip compresses those
requests. Masking searches 1 MiB of text for secrets, with 20 fingerprints of secrets and without.
"""

import gzip
import random
import re
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, islice
from typing import Any

from benchmarks.documents import document, spans_of
from benchmarks.harness import ROOT, Bench, Goal, say
from benchmarks.processes import run
from runlog_otel.core.redaction import Redaction, fingerprint_of
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Span

STEPS = 50
BATCH = 512
_READING, _MAPPING, _ENCODING, _STOCK = "run_from_log", "spans_from_run", "encode", "stock encode_spans"
_COUNTED = re.compile(r"^(\d+),,instructions|Collected : (\d+)", re.MULTILINE)
_numbers = count()


def encode(spans: Sequence[Span]) -> bytes:
    """A request's bytes, as exports make them."""
    resource = {"service.name": "main.flow"}
    try:
        from runlog_otel.exporters.otlp.wire import payload_from_spans  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # older code, that makes messages of protobuf
        from runlog_otel.exporters.otlp.encode import request_from_spans

        return request_from_spans(resource, spans).SerializeToString()
    return bytes(payload_from_spans(resource, spans))


def _stock_encode(spans: Sequence[Any]) -> bytes:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    return bytes(encode_spans(spans).SerializeToString())


STAGES: dict[str, Callable[[Any], Any]] = {
    _READING: run_from_log,
    _MAPPING: spans_from_run,
    _ENCODING: encode,
    _STOCK: _stock_encode,
}


def measure(bench: Bench) -> None:
    """Measure it."""
    runs = bench.size(40, 2)
    speed = bench.in_turns({stage: partial(_speed, stage, runs) for stage in STAGES}, 9, 60)
    counted = {} if bench.is_quick else _counted(bench)
    goals = {_MAPPING: 80, _ENCODING: 120}
    for stage in (_READING, _MAPPING, _ENCODING):
        is_encoding = stage == _ENCODING
        goal = Goal("ours", goals[stage], is_least=True) if stage in goals else None
        reference = (speed[_STOCK], _STOCK) if is_encoding else ()
        bench.add(stage, "thousand spans/s", speed[stage], *reference, goal=goal)
        if counted:
            reference = ((counted[_STOCK],), _STOCK) if is_encoding else ()
            bench.add(f"{stage}: instructions", "thousand a span", (counted[stage],), *reference)
    _measure_gzip(bench, runs)
    _measure_masking(bench)


def _inputs(stage: str, runs: int) -> list[Any]:
    """What a stage is called with, for runs that were not seen before."""
    documents = [document(number, STEPS) for number in islice(_numbers, runs)]
    if stage == _READING:
        return documents
    mapped = [run_from_log(log) for log in documents]
    if stage == _MAPPING:
        return mapped
    spans = [span for log in mapped for trace in spans_from_run(log) for span in trace.spans]
    items: list[Any] = spans
    if stage == _STOCK:
        from benchmarks.stock import sdk_span  # the SDK is not needed to count the instructions of ours

        items = [sdk_span(span) for span in spans]
    return [items[at : at + BATCH] for at in range(0, len(items), BATCH)]


def _speed(stage: str, runs: int) -> float:
    inputs = _inputs(stage, runs)
    return runs * spans_of(STEPS) / 1000 / _cpu_seconds(lambda: [STAGES[stage](one) for one in inputs])


def _cpu_seconds(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _counted(bench: Bench) -> dict[str, float]:
    """Thousand instructions a span of each stage; empty where nothing counts them."""
    counter = _counter()
    if not counter:
        bench.notes.append("Instructions were not counted: neither `perf` nor valgrind counts them here.")
        return {}
    found = {}
    for stage in STAGES:
        once, thrice = (_instructions(bench, counter, stage, runs) for runs in (1, 3))
        found[stage] = (thrice - once) / 2 / spans_of(STEPS) / 1000
        say(f"  instructions: {stage}: {found[stage]:.4g} thousand a span")
    return found


def _counter() -> tuple[str, ...]:
    perf = ("perf", "stat", "--field-separator=,", "--event=instructions:u")
    if shutil.which("perf"):
        done = subprocess.run([*perf, "true"], check=False, capture_output=True, text=True)
        if _COUNTED.search(done.stderr):
            return perf
    return ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null") if shutil.which("valgrind") else ()


def _instructions(bench: Bench, counter: Sequence[str], stage: str, runs: int) -> int:
    command = (*counter, sys.executable, "-m", "benchmarks.mapping", stage, str(runs))
    output = run(*command, folder=bench.folder, PYTHONPATH=str(ROOT), PYTHONHASHSEED="0").output
    found = _COUNTED.search(output)
    if not found:
        raise SystemExit(f"{' '.join(command)} counted nothing:\n{output[-2000:]}")
    return int(found[1] or found[2])


def _measure_gzip(bench: Bench, runs: int) -> None:
    requests = [encode(spans) for spans in _inputs(_ENCODING, runs)]
    spans = runs * spans_of(STEPS)

    def speed(level: int) -> float:
        return spans / 1000 / _cpu_seconds(lambda: [gzip.compress(body, level, mtime=0) for body in requests])

    speeds = bench.in_turns({f"gzip {level}": partial(speed, level) for level in (1, 6, 9)}, 5, 20)
    sizes = {level: sum(len(gzip.compress(body, level)) for body in requests) / spans for level in (1, 6, 9)}
    for level in (1, 6):
        bench.add(f"gzip {level}", "thousand spans/s", speeds[f"gzip {level}"], speeds["gzip 9"], "gzip 9")
        bench.add(f"gzip {level}: size", "bytes a span", (sizes[level],), (sizes[9],), "gzip 9")


def _measure_masking(bench: Bench) -> None:
    characters, draw = bench.size(1 << 20, 1 << 10), random.Random(1)
    letters = string.ascii_letters + string.digits
    texts = {
        "random words": "".join(draw.choices(letters + " ", k=characters)),
        "JSON": ('{"id": 123, "name": "orders", "value": 0.125}, ' * characters)[:characters],
    }
    marks = tuple(fingerprint_of("".join(draw.choices(letters, k=6 + 2 * n)), "r") for n in range(20))
    marked, unmarked = Redaction(run_id="r", marks=marks), Redaction()
    for name, text in texts.items():
        cases = {
            "marked": lambda text=text: 1000 * _cpu_seconds(lambda: marked(text)),
            "unmarked": lambda text=text: 1000 * _cpu_seconds(lambda: unmarked(text)),
        }
        milliseconds = bench.in_turns(cases, 5, 20)
        bench.add(f"masking: {name}", "ms", milliseconds["marked"], milliseconds["unmarked"], "no fingerprints")


if __name__ == "__main__":
    for _one in [_inputs(sys.argv[1], 1)[0] for _ in range(3)][: int(sys.argv[2])]:
        STAGES[sys.argv[1]](_one)
