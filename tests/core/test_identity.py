"""Ids are computed, the same everywhere."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import identity

_PARTS = st.text(st.characters(exclude_characters="\0"), max_size=10)


def test_a_trace_id_is_the_hash_that_the_documentation_says() -> None:
    """Anyone can compute a trace id with SHA-256 and the NUL-joined parts."""
    assert identity.trace_id("", "calm-otter-0611", 1) == hashlib.sha256(b"\0calm-otter-0611\x001").digest()[:16]


def test_a_span_id_is_the_hash_that_the_documentation_says() -> None:
    """Anyone can compute a span id with SHA-256 and the NUL-joined parts."""
    parts = b"ns\0calm-otter-0611\x002\0attempt\0mp.2.work\x003"
    assert (
        identity.span_id("ns", "calm-otter-0611", 2, kind="attempt", path="mp.2.work", attempt=3)
        == (hashlib.sha256(parts).digest()[:8])
    )


@given(st.tuples(_PARTS, _PARTS, st.integers(1, 99)), st.tuples(_PARTS, _PARTS, st.integers(1, 99)))
def test_different_runs_have_different_ids(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    """Parts are delimited: 1+23 is not 12+3."""
    assert (identity.trace_id(*one) == identity.trace_id(*other)) == (one == other)


@given(st.text(max_size=10))
def test_any_run_id_has_ids_that_are_not_zero(run_id: str) -> None:
    """Even a run id that is no valid Unicode has ids of the right size."""
    assert any(identity.trace_id("", run_id, 1))
    assert len(identity.span_id("", run_id, 1, kind="run")) == 8
