"""A pipeline that is watched

A real pipeline of 50 steps over chunked-fs, the whole process, wrapped and not in turns: with a backend that
acknowledges at once (on the same cores), with a closed port, and with one that accepts and never answers, which may
cost the budget of 2 s at the end of the process. The import is the CPU time of a process that makes the wrapper,
against one that makes the store alone.
"""

import json
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.harness import Bench, Goal, Samples
from benchmarks.processes import CLOSED, acknowledging, run, silent

BUDGET_SECONDS = 2.0
_INNER = {"type": "chunked-fs", "config": {"log_folder": "logs"}}
_PIPELINE = """\
import os, time
from runnable import Pipeline, PythonTask

def work():
    time.sleep(float(os.environ["STEP_SECONDS"]))

def main():
    steps = [PythonTask(name=f"step {n}", function=work) for n in range(int(os.environ["STEPS"]))]
    pipeline = Pipeline(steps=steps)
    pipeline.execute(configuration_file=os.environ["CONFIG"])
    return pipeline

if __name__ == "__main__":
    main()
"""
_IMPORT = """\
import logging, sys
import runnable.sdk
from runnable.context import get_service_by_name
logging.disable()
inner = {"type": "chunked-fs", "config": {}}
service = {"type": "otel", "config": {"inner": inner}} if sys.argv[1] == "wrapped" else inner
get_service_by_name("run_log_store", service, None)
"""


def measure(bench: Bench) -> None:
    """Measure it."""
    (bench.folder / "pipeline.py").write_text(_PIPELINE, encoding="utf-8")
    with acknowledging() as receiver, silent() as silent_url:
        for name, endpoint in {"up": receiver.url, "closed": CLOSED, "silent": silent_url}.items():
            wrapper = {"type": "otel", "config": {"inner": _INNER, "telemetry": {"endpoint": endpoint}}}
            _write_config(bench, name, wrapper)
        _write_config(bench, "unwrapped", _INNER)
        steps = bench.size(50, 2)
        empty = _in_turns(bench, ("unwrapped", "up", "closed", "silent"), steps, 0, 9)
        slow = _in_turns(bench, ("unwrapped", "up", "closed"), steps, 0.1, 5)
    for name, bound in (("up", 1.04), ("closed", 1.03)):
        _add(bench, f"{steps} empty steps, backend {name}", empty, name, Goal("ratio", bound))
    _add(bench, f"{steps} empty steps, backend silent", empty, "silent", Goal("difference", BUDGET_SECONDS))
    for name in ("up", "closed"):
        _add(bench, f"{steps} steps of 0.1 s, backend {name}", slow, name, Goal("ratio", 1.01))
    imports = bench.in_turns({name: partial(_import_ms, bench, name) for name in ("wrapped", "store")}, 9, 40)
    goal = Goal("difference", 20)
    bench.add("import of a step's process", "ms of CPU", imports["wrapped"], imports["store"], "store alone", goal=goal)


def _write_config(bench: Bench, name: str, store: object) -> None:
    (bench.folder / f"{name}.yaml").write_text(json.dumps({"run-log-store": store}), encoding="utf-8")


def _in_turns(bench: Bench, configs: tuple[str, ...], steps: int, seconds: float, rounds: int) -> dict[str, Samples]:
    def case(config: str) -> Callable[[], float]:
        variables = {"CONFIG": f"{config}.yaml", "STEPS": str(steps), "STEP_SECONDS": str(seconds)}
        return lambda: run(sys.executable, "pipeline.py", folder=bench.folder, **variables).seconds

    return bench.in_turns({config: case(config) for config in configs}, rounds, 90)


def _add(bench: Bench, what: str, samples: dict[str, Samples], name: str, goal: Goal) -> None:
    bench.add(what, "s", samples[name], samples["unwrapped"], "unwrapped", goal=goal)


def _import_ms(bench: Bench, what: str) -> float:
    return 1000 * run(sys.executable, "-c", _IMPORT, what, folder=bench.folder).cpu_seconds
