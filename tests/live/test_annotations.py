"""What code says of its attempt is kept, masked and bounded, whoever says it; what it may not say is refused once."""

import asyncio
import json
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Status, StatusCode

import runlog_otel
from runlog_otel.core import semconv
from runlog_otel.core.model import AttemptEvent
from runlog_otel.core.redaction import MASK, redacted
from runlog_otel.core.runlogs.facts import code_from_facts
from runlog_otel.core.trace import AttemptContext
from runlog_otel.live.annotation_file import VARIABLE
from runlog_otel.live.attempt_context import AttemptScope
from tests.core.logs import facts_of

SECRET = "hunter-2-is-a-secret"


def entered(number: int = 1) -> AttemptScope:
    """An attempt, in whose process a secret is known."""
    current = AttemptContext("r", f"step {number}", bytes([number]) * 16, bytes([number]) * 8)
    return AttemptScope(current, redact=lambda text: redacted(text.replace(SECRET, MASK)))


@pytest.fixture
def scope() -> Iterator[AttemptScope]:
    """The one attempt of the process."""
    scope = entered()
    yield scope
    scope.leave()


def said(scope: AttemptScope) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """The annotations and the events in the log, once the attempt has ended."""
    scope.leave()
    (facts,) = facts_of({"attempts": [{"code_identities": [code_from_facts(scope.facts())]}]})
    assert (facts.annotations, facts.events) == (scope.facts().annotations, scope.facts().events)
    return dict(facts.annotations), [(event.name, dict(event.attributes)) for event in facts.events]


def test_code_says_it_without_opentelemetry(scope: AttemptScope) -> None:
    """The last value of a name counts; events keep their order."""
    runlog_otel.annotate(rows=1, source="warehouse")
    runlog_otel.annotate(rows=123)
    runlog_otel.event("checkpoint", epoch=3)
    runlog_otel.event("checkpoint", epoch=4, name="last")
    assert said(scope) == (
        {"rows": 123, "source": "warehouse"},
        [("checkpoint", {"epoch": 3}), ("checkpoint", {"epoch": 4, "name": "last"})],
    )


def test_the_current_span_says_it(scope: AttemptScope) -> None:
    """It records, and is the same span as ever for whatever makes spans below it."""
    span = trace.get_current_span()
    assert (span.is_recording(), isinstance(span, NonRecordingSpan)) == (True, True)
    assert (span.get_span_context().is_remote, span.get_span_context().span_id) == (True, 0x0101010101010101)
    span.set_attribute("rows", 123)
    span.set_attributes({"app.files": ["a", "b"]})
    span.add_event("checkpoint", {"epoch": 3}, timestamp=7)
    span.add_event("done")
    span.update_name("another")
    span.end()
    assert span.is_recording()
    assert said(scope) == ({"rows": 123, "app.files": ("a", "b")}, [("checkpoint", {"epoch": 3}), ("done", {})])
    assert scope.annotations.events[0].time_ns == 7
    assert not span.is_recording()


def test_an_exception_that_the_code_handles_is_an_event(scope: AttemptScope) -> None:
    """With type, message and traceback, as OpenTelemetry has it; secrets are masked."""
    try:
        raise LookupError(f"no {SECRET}")
    except LookupError as error:
        trace.get_current_span().record_exception(error, {"rows": 1})
    _, [(name, attributes)] = said(scope)
    assert (name, attributes["exception.type"], attributes["exception.message"], attributes["rows"]) == (
        "exception",
        "LookupError",
        f"no {MASK}",
        1,
    )
    assert attributes["exception.stacktrace"].endswith(f"LookupError: no {MASK}")


def test_an_exception_that_leaves_a_span_in_use_is_an_event(scope: AttemptScope) -> None:
    """`use_span` records it and sets the status: two events."""
    with pytest.raises(ValueError, match="x"), trace.use_span(trace.get_current_span()):
        raise ValueError("x")
    _, events = said(scope)
    assert [name for name, _ in events] == ["exception", "runlog.status"]


@pytest.mark.parametrize(
    ("arguments", "events"),
    [
        ((StatusCode.ERROR, "too few rows"), [("ERROR", "too few rows")]),
        ((Status(StatusCode.ERROR, f"no {SECRET}"),), [("ERROR", f"no {MASK}")]),
        ((Status(StatusCode.OK),), [("OK", None)]),
        ((StatusCode.UNSET,), []),
    ],
    ids=["code", "status", "ok", "unset"],
)
def test_a_status_is_an_event(scope: AttemptScope, arguments: Any, events: list[tuple[str, str | None]]) -> None:
    """The host says whether the attempt failed."""
    trace.get_current_span().set_status(*arguments)
    _, recorded = said(scope)
    assert [
        (name, values["runlog.status.code"], values.get("runlog.status.description")) for name, values in recorded
    ] == [("runlog.status", *event) for event in events]


class _Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, True),
        (0.5, 0.5),
        (2**63, str(2**63)),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), "0.5"),
        ("", ""),
        ("a\udc80\0", "a?\0"),
        (["a", "b"], ("a", "b")),
        ([], ()),
        ([1, 2], "[1, 2]"),
        ({"a": {"b": [1]}}, '{"a": {"b": [1]}}'),
        (Path("data"), "data"),
        (None, "missing"),
        (_Odd(), "missing"),
        ({"a": _Odd()}, "missing"),
        (f"is {SECRET}", f"is {MASK}"),
        ([SECRET], (MASK,)),
        ({"password": "b"}, f'{{"password": "{MASK}"}}'),
        ("x" * 3000, "x" * 2044 + "…"),
        ("y" * 16_000 + SECRET, "y" * 2044 + "…"),
        ("AKIACANARYCANARY7QXR " * 10_000, "…"),
    ],
    ids=lambda value: str(value)[:16] if not isinstance(value, dict | _Odd) else "object",
)
def test_a_value_is_what_an_attribute_can_be(scope: AttemptScope, value: Any, kept: Any) -> None:
    """Scalars, lists of texts; others as text; masked, at most 2,047 bytes."""
    runlog_otel.annotate(it=value)
    annotations, _ = said(scope)
    if kept == "…":
        assert "AKIA" not in annotations["it"]
        assert len(annotations["it"].encode()) < semconv.MAX_ATTRIBUTE_BYTES + 1
    else:
        assert annotations.get("it", "missing") == kept


def test_a_name_can_be_a_secret_and_say_that_a_value_is_one(scope: AttemptScope) -> None:
    """Both are masked."""
    runlog_otel.annotate(**{SECRET: 1, "db_password": "x", "tokens": "a", "token": 7, "api_key": ["x"]})
    assert said(scope)[0] == {MASK: 1, "db_password": MASK, "tokens": "a", "token": MASK, "api_key": MASK}


def test_what_is_ours_is_refused_once(scope: AttemptScope, caplog: pytest.LogCaptureFixture) -> None:
    """Names of ours and of the conventions, whoever says them, in whatever spelling; the rest is kept."""
    with caplog.at_level(logging.WARNING, "runlog_otel"):
        for _ in range(3):
            runlog_otel.annotate(**{"runlog.step.name": "x", "cicd": 1, " error.type": "x", "": 1, "rows": 2})
            trace.get_current_span().set_attribute(f"runlog.{SECRET}", 1)
            runlog_otel.event("runlog.catalog.item")
            runlog_otel.event("seen", **{"exception.type": "x", "rows": 1})
    assert said(scope) == ({"rows": 2}, [("seen", {"rows": 1})] * 3)
    reserved = [f"names that begin with {name} are reserved" for name in ("runlog", "cicd", "error")]
    problems = [*reserved, "it has no name", "names that begin with exception are reserved"]
    prefix = "an annotation or event of a step is not recorded: "
    assert [record.getMessage() for record in caplog.records] == [prefix + problem for problem in problems]


def test_there_is_a_most_of_each(scope: AttemptScope, caplog: pytest.LogCaptureFixture) -> None:
    """128 annotations, of which the first can change; 64 events of 32 attributes; one line each."""
    with caplog.at_level(logging.WARNING, "runlog_otel"):
        runlog_otel.annotate(**{f"name{number}": 0 for number in range(200)})
        runlog_otel.annotate(name0=1)
        for _ in range(100):
            runlog_otel.event("checkpoint", **{f"name{number}": 0 for number in range(50)})
    annotations, events = said(scope)
    assert (len(annotations), annotations["name0"], len(events), len(events[0][1])) == (128, 1, 64, 32)
    assert len(caplog.records) == 3


@pytest.mark.parametrize(
    "odd",
    [
        lambda span: span.set_attributes({_Odd(): 1}),
        lambda span: span.add_event("x", 5, "now"),
        lambda span: span.record_exception(None),
    ],
    ids=["name", "attributes", "exception"],
)
def test_nothing_that_the_code_says_breaks_it(
    scope: AttemptScope, odd: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused, with a line."""
    odd(trace.get_current_span())
    assert said(scope) == ({}, [])
    assert len(caplog.records) == 1


def test_outside_of_a_step_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    """But for a line at debug level; nor after it, even by a span that was kept."""
    scope = entered()
    span = trace.get_current_span()
    scope.leave()
    caplog.set_level(logging.DEBUG, "runlog_otel")
    span.set_attribute("rows", 1)
    runlog_otel.annotate(rows=1)
    runlog_otel.event("checkpoint")
    assert said(scope) == ({}, [])
    assert [record.levelname for record in caplog.records] == ["DEBUG"] * 2


def test_threads_say_it_of_the_only_attempt(scope: AttemptScope) -> None:
    """Also those without a context; of two attempts, only those that have one."""

    def call(rows: int) -> None:
        thread = threading.Thread(target=lambda: runlog_otel.annotate(rows=rows))
        thread.start()
        thread.join()

    call(1)
    other = copy_context().run(entered, 2)
    call(2)
    context = copy_context()
    thread = threading.Thread(target=lambda: context.run(runlog_otel.annotate, files=3))
    thread.start()
    thread.join()
    other.leave()
    assert (said(scope)[0], said(other)[0]) == ({"rows": 1, "files": 3}, {})


def test_tasks_say_it_of_their_own_attempt() -> None:
    """Several steps in one event loop, and the tasks that each starts."""

    async def step(number: int) -> AttemptScope:
        scope = entered(number)
        await asyncio.sleep(0)
        runlog_otel.annotate(number=number)
        await asyncio.gather(*(asyncio.to_thread(runlog_otel.annotate, **{f"part{part}": number}) for part in range(2)))
        scope.leave()
        return scope

    async def steps() -> list[AttemptScope]:
        return await asyncio.gather(*map(step, (1, 2, 3)))

    for number, scope in enumerate(asyncio.run(steps()), 1):
        assert said(scope)[0] == {"number": number, "part0": number, "part1": number}


_POOL = """
import json, multiprocessing, sys
import runlog_otel
from opentelemetry import trace
from tests.live.test_annotations import SECRET, entered, said

def work(number):
    runlog_otel.annotate(**{f"part{number}": [SECRET, "a"]})
    runlog_otel.event("part", number=number)
    trace.get_current_span().set_attribute(f"span{number}", number)

if __name__ == "__main__":
    scope = entered()
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        pool.map(work, range(3), chunksize=1)
    print(json.dumps(said(scope)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_the_code_say_it(tmp_path: Path, method: str) -> None:
    """Processes that the step forks or starts; a spawned one has no current span."""
    program = tmp_path / "pool.py"
    program.write_text(_POOL, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(program), method]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    annotations, events = json.loads(done.stdout)
    spans = {f"span{number}": number for number in range(3)} if method == "fork" else {}
    assert annotations == {f"part{number}": [MASK, "a"] for number in range(3)} | spans
    assert sorted(events, key=str) == [["part", {"number": number}] for number in range(3)]


def test_programs_say_it_in_a_file(scope: AttemptScope, caplog: pytest.LogCaptureFixture) -> None:
    """A shell appends lines; a Python program says it as the step does. The file is private, and removed."""
    path = Path(os.environ[VARIABLE])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shell = f"""
        echo rows=123 >> $RUNNABLE_ANNOTATIONS
        echo 'share = 0.5' >> $RUNNABLE_ANNOTATIONS
        printf 'is_whole=true\\r\\nnote=it is {SECRET}\\n' >> $RUNNABLE_ANNOTATIONS
        printf 'quoted="a b"\\nlist=["a"]\\nnothing=null\\nquery=a=b\\nempty=\\n' >> $RUNNABLE_ANNOTATIONS
        printf 'no line of ours\\n\\n=1\\nrunlog.x=1\\n[1, 2\\n[[[[\\n\\377=1' >> $RUNNABLE_ANNOTATIONS
    """
    subprocess.run(["sh", "-c", shell], check=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")
    code = "import runlog_otel as r; r.annotate(files=['a'], huge=2**70); r.event('checkpoint', epoch=3)"
    subprocess.run([sys.executable, "-c", code], check=True)
    annotations, events = said(scope)
    assert annotations == {
        "rows": 123,
        "share": 0.5,
        "is_whole": True,
        "note": f"it is {MASK}",
        "quoted": "a b",
        "list": '["a"]',
        "nothing": "null",
        "query": "a=b",
        "empty": "",
        "\ufffd": 1,
        "files": ("a",),
        "huge": str(2**70),
    }
    assert events == [("checkpoint", {"epoch": 3})]
    assert len(caplog.records) == 2
    assert (path.exists(), VARIABLE in os.environ) == (False, False)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (Path.unlink, {}),
        (_link, {}),
        (_fifo, {}),
        (lambda path: path.write_bytes(b"rows=1\n" + b"x" * 2**20 + b"\nfiles=2\n"), {"rows": 1}),
        (lambda path: path.write_bytes(b"rows=1\n" * 10 + b"x=" + bytes(range(11, 256))), {"rows": 1}),
    ],
    ids=["removed", "link", "fifo", "large", "binary"],
)
def test_a_file_that_was_spoiled_harms_nobody(
    scope: AttemptScope, spoil: Callable[[Path], None], kept: dict[str, Any]
) -> None:
    """Only lines in its first MiB are read, and only of a file."""
    path = Path(os.environ[VARIABLE])
    spoil(path)
    annotations, _ = said(scope)
    assert {name: annotations[name] for name in annotations if name != "x"} == kept
    assert not path.is_symlink()
    assert not path.exists()


_INTERRUPTED = """
import os, sys
from tests.live.test_annotations import VARIABLE, entered

scope = entered()
if not os.fork():
    sys.exit()
os.wait()
print(os.environ[VARIABLE], os.path.exists(os.environ[VARIABLE]))
raise KeyboardInterrupt
"""


def test_the_file_goes_with_its_process() -> None:
    """If the host raises before the attempt is recorded; a forked process leaves it alone."""
    command = [sys.executable, "-c", _INTERRUPTED]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    path, _, existed = done.stdout.strip().rpartition(" ")
    assert (done.returncode != 0, existed, Path(path).exists()) == (True, "True", False)


def test_without_a_folder_for_the_file_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full or read-only disk: the step runs, and says of itself what its process can."""
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    monkeypatch.setenv(VARIABLE, "/of/another/attempt")
    scope = entered()
    runlog_otel.annotate(rows=1)
    assert VARIABLE not in os.environ
    assert said(scope) == ({"rows": 1}, [])
    assert os.environ[VARIABLE] == "/of/another/attempt"


def test_events_of_ours_are_read_with_their_attributes_only() -> None:
    """A log may say anything."""
    events = [[1, "exception", {"exception.type": "E", "runlog.x": 1}], [2, "runlog.x", {}], [3, "own", {"host.a": 1}]]
    identity = {"code_identifier_type": "runlog_otel.facts", "code_identifier": json.dumps({"events": events})}
    (facts,) = facts_of({"attempts": [{"code_identities": [identity]}]})
    assert facts.events == (AttemptEvent(1, "exception", {"exception.type": "E"}), AttemptEvent(3, "own", {}))
