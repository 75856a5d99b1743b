"""The host's own example pipelines behave the same with the wrapper.

Its distributions do not hold them, so this needs a checkout of github.com/AstraZeneca/runnable; some of the examples
need the host's extras (pandas, notebooks) and fail without them, with the wrapper as without it.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.hosts.project import LOCAL, PARALLEL, Project
from tests.hosts.test_invisible import Outcome, logs_in, without_times

CHECKOUT = "RUNLOG_OTEL_RUNNABLE_CHECKOUT"
EXAMPLES = (
    "01-tasks/python_tasks.py",
    "02-sequential/default_fail.py",
    "02-sequential/on_failure_fail.py",
    "02-sequential/on_failure_succeed.py",
    "02-sequential/conditional.py",
    "02-sequential/traversal.py",
    "03-parameters/passing_parameters_python.py",
    "04-catalog/catalog.py",
    "06-parallel/nesting.py",
    "06-parallel/parallel.py",
    "07-map/custom_reducer.py",
    "07-map/map.py",
    "09-retry/linear.py",
    "10-loop/simple_loop.py",
    "11-jobs/python_tasks.py",
    "async/async_sequential.py",
)


@pytest.fixture(scope="module")
def checkout() -> Path:
    """The folder of the checkout."""
    folder = os.environ.get(CHECKOUT)
    if not folder:
        pytest.skip(f"the host's examples are in no distribution: set {CHECKOUT} to a checkout of its repository")
    assert (Path(folder) / "examples").is_dir(), f"{CHECKOUT} has no folder `examples`"
    return Path(folder)


@pytest.mark.parametrize("store", ["file-system", "chunked-fs"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_host_behaves_the_same(tmp_path: Path, checkout: Path, example: str, store: str) -> None:
    """Exit status and run log are those without the wrapper."""
    if not (checkout / "examples" / example).exists():
        pytest.skip(f"the checkout has no {example}")

    def outcome(name: str, telemetry: dict[str, str] | None) -> Outcome:
        folder = tmp_path / name
        shutil.copytree(checkout / "examples", folder / "examples")
        project = Project(folder, store, PARALLEL if store == "chunked-fs" else LOCAL, telemetry)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        done = project.run(f"examples/{example.removesuffix('.py')}", "r", PYTHONPATH=path, FIX_RANDOM_TOSS="heads")
        return Outcome([done.returncode], without_times(logs_in(folder)), [])

    plain = outcome("plain", None)
    wrapped = outcome("wrapped", {"endpoint": f"file://{tmp_path}/spans.jsonl"})
    for log in wrapped.logs.values():
        log.get("run_config", {}).pop("runlog_otel", None)
    assert wrapped == plain
