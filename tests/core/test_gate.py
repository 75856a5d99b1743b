"""Spans leave the mapping through one gate, which sanitises them."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hypothesis import given

import runlog_otel
from runlog_otel.core import semconv
from runlog_otel.core.model import CatalogItem, Changes, CodeIdentity, Header, Run, Status
from runlog_otel.core.redaction import MASK, Redaction, RedactionPolicy, bounded_names, fingerprint_of
from runlog_otel.core.span_factory import span_from_attempt, span_from_start
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Execution, Span, SpanRole
from tests.core.logs import at, attempt, branch, composite, run, runs, task, verdict

SECRET = "ghp_012345678901234567890123456789012345"
POLICY = RedactionPolicy(parameters=("*",))


def test_only_the_gate_makes_a_span() -> None:
    """Raw text has no type that a trace or a sink takes: a forgotten call cannot leak.

    `remembered` makes one of what `sanitized` made before.
    """
    makers = [maker for path in Path(runlog_otel.__file__).parent.rglob("*.py") for maker in _makers_of_spans(path)]
    assert makers == [("span_factory.py", "sanitized"), ("span_factory.py", "remembered")]


def _makers_of_spans(path: Path) -> Iterator[tuple[str, str]]:
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Span":
                    yield path.name, function.name


def test_every_text_of_a_log_is_sanitised() -> None:
    """Wherever a secret stands, in a whole run and in what a live process sends."""
    log = _run_of_secrets()
    execution = Execution(log.run_id, log.pipeline, policy=POLICY)
    live = [span_from_start(execution, at(0)), span_from_attempt(execution, log.steps[0], log.steps[0].attempts[0])]
    replayed = [span for trace in spans_from_run(log, policy=POLICY) for span in trace.spans]
    assert {span.role for span in replayed} == {"run", "start", "step", "branch", "attempt"}
    for span in [*live, *replayed]:
        assert type(span) is Span
        assert SECRET not in repr(span)
    raw = spans_from_run(log, policy=RedactionPolicy(is_unlimited=True))
    assert all(SECRET in repr(span) for trace in raw for span in trace.spans)


@given(runs())
def test_a_text_that_repeats_is_sanitised_as_one_that_does_not(log: Run) -> None:
    """The factory of an execution remembers its texts: each is what a redaction of its own makes of it."""
    text = Redaction(("[a-f]",), log.run_id).bounded
    raw = [span for trace in spans_from_run(log, policy=RedactionPolicy(is_unlimited=True)) for span in trace.spans]
    spans = [span for trace in spans_from_run(log, policy=RedactionPolicy(patterns=("[a-f]",))) for span in trace.spans]
    assert [span.name for span in spans] == [text(span.name) for span in raw]
    assert [_texts(span) for span in spans] == [
        [text(part) if isinstance(part, str) else bounded_names(map(text, part)) for part in _texts(span)]
        for span in raw
    ]


def _texts(span: Span) -> list[str | tuple[str, ...]]:
    """The texts of a span's attributes, except those that the parser of failures has redacted before."""
    own = ((key, value) for key, value in span.attributes.items() if key != semconv.ERROR_TYPE)
    return [value for _, value in own if isinstance(value, str | tuple)]


def test_the_marks_of_one_part_mask_nothing_in_another() -> None:
    """A part's text is sanitised with its own marks, though the same text stands in both."""
    marked = replace(attempt(1, 2), output_parameters=("hunter2",), marks=(fingerprint_of("hunter2", run().run_id),))
    plain = replace(attempt(2, 3), output_parameters=("hunter2",))
    (trace,) = spans_from_run(run(task("a", marked), task("b", plain), verdict("success", 4)))
    names = [span.attributes[semconv.OUTPUT_PARAMETERS] for span in trace.spans if span.role is SpanRole.ATTEMPT]
    assert names == [(MASK,), ("hunter2",)]


def _run_of_secrets() -> Run:
    failed = replace(
        attempt(1, 2, ok=False),
        message=f"ValueError: {SECRET}\n\nTraceback (most recent call last):\n  {SECRET}",
        input_parameters=(SECRET,),
        metrics={SECRET: SECRET},
        code=(CodeIdentity("git", SECRET, SECRET), CodeIdentity(SECRET, SECRET)),
        input_values={SECRET: [SECRET]},
        retry_indicator=SECRET,
    )
    inner = task(f"fan.{SECRET}.x", attempt(3, 4))
    fan = composite("fan", "parallel", branch(f"fan.{SECRET}", inner, verdict("success", 4)), status=Status.SUCCESS)
    passed = replace(task("b", attempt(2, 3)), catalog=(CatalogItem(SECRET, SECRET, SECRET, SECRET),))
    steps = (replace(step, name=SECRET) for step in (task("a", failed), passed, fan))
    header = Header(at(0), 0, changes=(Changes(1, SECRET, SECRET, SECRET, (SECRET,), (SECRET,)),))
    log = run(*steps, verdict("fail", 5), status=Status.FAIL, header=header)
    return replace(log, pipeline=SECRET, tag=SECRET, definition=SECRET, executor=SECRET, dag_hash=SECRET)
