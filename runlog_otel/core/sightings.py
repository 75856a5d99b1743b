"""Where and how often a failure was seen before, and whether a step is flaky. Pure.

A step is flaky if it succeeded on a retry within an execution, or if it failed in one execution and succeeded in
another although nothing changed: the same clean git commit, the same graph and the same parameters at the start.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from runlog_otel.core import semconv
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.fingerprint import Fingerprint
from runlog_otel.core.first_cause import fingerprints


@dataclass(frozen=True, slots=True)
class Sightings:
    """Where a fingerprint was seen, among the runs that were read; the diagnosed run is one of them."""

    runs: int
    """Runs in which it was seen."""
    of_runs: int
    """Runs that were read, of all pipelines."""
    first_run_id: str
    first_ns: int
    """When it was seen first, in nanoseconds since the epoch."""
    before_run_id: str = ""
    """The last run before this one in which it was seen; empty if there is none."""
    before_ns: int | None = None
    executions: int = 1
    """Executions of this run, up to this one, in which it was seen."""
    pipelines: Mapping[str, int] = field(default_factory=dict)
    """In how many runs of each pipeline, the most first."""

    @property
    def is_new(self) -> bool:
        """Whether it was not seen before this run."""
        return not self.before_run_id


@dataclass(frozen=True, slots=True)
class Flakiness:
    """How a step ended in the runs of its pipeline that were read, this one included."""

    is_flaky: bool
    runs: int
    """Runs that have the step."""
    failed: int
    """Runs in which it failed."""
    passed_on_retry: int
    """Runs in which it succeeded on a retry."""
    unchanged_failed: int
    """Executions in which it failed that had another one, with success and no change."""
    unchanged_passed: int
    """Executions in which it succeeded that had another one, with a failure and no change."""


def sightings_of(fingerprint: Fingerprint, record: ExecutionRecord, others: Sequence[ExecutionRecord]) -> Sightings:
    """Count a fingerprint.

    Args:
        fingerprint: of a failure in `record`.
        record: the diagnosed execution.
        others: other executions, of the same run and of others, of any pipelines, in any order.
    """
    seen: dict[str, tuple[int, str]] = {}
    for each in (record, *others):
        at_ns = fingerprints(each).get(fingerprint)
        if at_ns is not None:
            seen[each.run_id] = min(seen.get(each.run_id, (at_ns, each.pipeline)), (at_ns, each.pipeline))
    own_ns = seen[record.run_id][0] if record.run_id in seen else record.end_ns
    seen.setdefault(record.run_id, (own_ns, record.pipeline))
    first_ns, first = min((at_ns, run_id) for run_id, (at_ns, _) in seen.items())
    before = max(
        ((at_ns, run_id) for run_id, (at_ns, _) in seen.items() if run_id != record.run_id and at_ns <= own_ns),
        default=None,
    )
    pipelines = Counter(pipeline for _, pipeline in seen.values())
    return Sightings(
        runs=len(seen),
        of_runs=len({each.run_id for each in (record, *others)}),
        first_run_id=first,
        first_ns=first_ns,
        before_run_id=before[1] if before else "",
        before_ns=before[0] if before else None,
        executions=sum(
            each.run_id == record.run_id and each.execution <= record.execution and fingerprint in fingerprints(each)
            for each in (record, *others)
        ),
        pipelines=dict(sorted(pipelines.items(), key=lambda item: (-item[1], item[0]))),
    )


def flakiness_of(key: str, records: Iterable[ExecutionRecord]) -> Flakiness:
    """Whether a step is flaky.

    Args:
        key: its place in the graph.
        records: executions of its pipeline, in any order.
    """
    having = [record for record in records if key in record.steps]
    retried = {record.run_id for record in having if record.steps[key].retried}
    groups: dict[Hashable, list[ExecutionRecord]] = defaultdict(list)
    for record in having:
        if (setting := _setting(record)) is not None:
            groups[setting].append(record)
    failed = passed = 0
    for group in groups.values():
        own_failed = sum(record.steps[key].has_failed for record in group)
        own_passed = sum(record.steps[key].has_passed for record in group)
        if own_failed and own_passed:
            failed, passed = failed + own_failed, passed + own_passed
    return Flakiness(
        is_flaky=bool(retried or failed),
        runs=len({record.run_id for record in having}),
        failed=len({record.run_id for record in having if record.steps[key].has_failed}),
        passed_on_retry=len(retried),
        unchanged_failed=failed,
        unchanged_passed=passed,
    )


def _setting(record: ExecutionRecord) -> Hashable | None:
    """What must be equal for two executions to be without a change; None if that is unknown."""
    if record.code.get(semconv.CODE_IS_CLEAN) != str(True):
        return None
    inputs = tuple(sorted((name, parameter.token) for name, parameter in record.inputs.items()))
    return record.code.get(semconv.VCS_REVISION), record.code.get(semconv.RUN_DAG_HASH), inputs
