"""`runlog-otel serve` as a process, and what its counters read."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.counts import Counts
from tests.hosts.project import environment, kill
from tests.peers.loopback import HOST, answers, free_ports, request
from tests.peers.process import PATIENCE_SECONDS, wait_until

_ERRORS = (
    "runlog_attempt_duration_seconds_count",
    "runlog_step_duration_seconds_count",
    "runlog_branch_duration_seconds_count",
    "cicd_pipeline_run_errors_total",
)


@dataclass
class Serve:
    """`runlog-otel serve` as a process, that can be ended and started again."""

    folder: Path
    address: str
    process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it, and wait until it has caught up."""
        fixed = ["--listen", self.address, "--interval", "1s"]
        command = [sys.executable, "-m", "runlog_otel", "serve", *fixed, *options]
        with (self.folder / "serve.out").open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdout=output, stderr=output, start_new_session=True
            )
        assert wait_until(lambda: answers(f"http://{self.address}/-/ready")), self.output

    def restart(self) -> None:
        """As an operator does it."""
        self.end_gently()
        self.start()

    def end_gently(self) -> None:
        """Ask it to end, and wait until it has."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.output

    def kill(self) -> None:
        """As the kernel does it when memory is short; then somebody starts it again."""
        assert self.process is not None
        kill(self.process)
        self.start()

    def end(self) -> None:
        """End it for good, if it was started."""
        if self.process is not None:
            kill(self.process)

    @property
    def output(self) -> str:
        """What it printed."""
        return (self.folder / "serve.out").read_text(encoding="utf-8")

    def counts(self) -> Counts:
        """What its counters of the pipeline read, where they are not zero."""
        return counters(self.samples())

    def samples(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Name, labels and value of all that it serves."""
        for family in text_string_to_metric_families(request(f"http://{self.address}/metrics").decode()):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series of that name and labels."""
        return sum(v for n, given, v in self.samples() if n == name and labels.items() <= given.items())


def counters(samples: Iterable[tuple[str, Mapping[str, str], float]]) -> Counts:
    """Counters by name and labels; the type of an error is told elsewhere."""
    counts: Counts = Counter()
    for name, labels, value in samples:
        if not (name.endswith(("_total", "_count")) and value and "cicd_pipeline_name" in labels):
            continue
        hidden = ("__name__", "job", "instance", *(("error_type",) if name in _ERRORS else ()))
        counts[name, tuple(sorted((k, v) for k, v in labels.items() if v and k not in hidden))] += int(value)
    return counts


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Not started yet; ended with the test."""
    serve = Serve(tmp_path, f"{HOST}:{free_ports(1)[0]}")
    yield serve
    serve.end()
