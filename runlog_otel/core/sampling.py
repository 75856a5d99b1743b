"""Which runs are exported: decided by the run id, the same in every process and replay, and by how a run ended."""

from runlog_otel.core import identity
from runlog_otel.core.trace import Trace


def is_sampled(run_id: str, share: float, namespace: str = "") -> bool:
    """Whether a run is in the sampled share (0 to 1), with all of its executions."""
    return identity.sampling_fraction(namespace, run_id) < share


def is_notable(trace: Trace, slower_than_seconds: float | None) -> bool:
    """Whether an execution is exported even if its run is not sampled: it did not succeed, or took too long."""
    root = trace.spans[0]
    duration_seconds = (root.end_ns - root.start_ns) / 1e9
    is_slow = slower_than_seconds is not None and duration_seconds > slower_than_seconds
    return trace.is_complete and (root.error is not None or is_slow)
