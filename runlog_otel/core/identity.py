"""Trace and span ids: computed from the run id, never drawn, the same for everybody who asks."""

import hashlib


def trace_id(namespace: str, run_id: str, execution: int) -> bytes:
    """16 bytes that stand for one execution of a run.

    The first 16 bytes of SHA-256 over the NUL-joined UTF-8 parts; never all zero (W3C Trace Context, section 3.2.2.3).
    """
    return _digest(16, namespace, run_id, str(execution))


def span_id(
    namespace: str, run_id: str, execution: int, *, kind: str, path: str = "", attempt: int = 0, repeat: int = 1
) -> bytes:
    """8 bytes that stand for one part of an execution: its run, a branch, a step or an attempt.

    Args:
        namespace: the setting for those who reuse run ids.
        run_id: the host's run id.
        execution: 1 for the first, one more for each retry.
        kind: `run`, `start`, `branch`, `step` or `attempt`.
        path: the host's internal name, empty for the run.
        attempt: the attempt's number, 0 for what is no attempt.
        repeat: which one it is of several attempts that have the same number.
    """
    number = str(attempt) if repeat == 1 else f"{attempt}.{repeat}"
    return _digest(8, namespace, run_id, str(execution), kind, path, number)


def sampling_fraction(namespace: str, run_id: str) -> float:
    """Where a run stands among all runs, from 0 to below 1: evenly spread, the same for everybody who asks."""
    return int.from_bytes(_digest(8, namespace, run_id, "sample")[:6], "big") / 2**48


def _digest(size: int, *parts: str) -> bytes:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(text).digest()[:size]
    return digest if any(digest) else b"\1".rjust(size, b"\0")
