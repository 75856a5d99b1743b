"""Spans leave the mapping through one gate, which sanitises them."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import runlog_otel
from runlog_otel.core.model import CatalogItem, Changes, CodeIdentity, Header, Run, Status
from runlog_otel.core.redaction import RedactionPolicy
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Execution, Span, span_from_attempt, span_from_start
from tests.core.logs import at, attempt, branch, composite, run, task, verdict

SECRET = "ghp_012345678901234567890123456789012345"
POLICY = RedactionPolicy(parameters=("*",))


def test_only_the_gate_makes_a_span() -> None:
    """The mapping makes `RawSpan`s, which mypy lets into no trace and no sink: a forgotten call cannot leak."""
    makers = [maker for path in Path(runlog_otel.__file__).parent.rglob("*.py") for maker in _makers_of_spans(path)]
    assert makers == [("trace.py", "sanitized")]


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
