"""Failures, retries, kills and replays in any order: no span id has two contents, and in the end each tree is whole."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Backend, Sent, backend, healthy
from tests.e2e.oracle import Oracle
from tests.e2e.told import differences, outside, told_by_otlp
from tests.hosts.project import EMULATOR, LOCAL, PARALLEL, Project, kill

RUN = "r"
PIPELINE = "held"
STORIES: Mapping[str, Sequence[str]] = {
    "killed at the end of a retry": ("run", "retry", "mend", "kill close", "close", "retry", "export"),
    "killed at once in a retry": ("run", "kill finish", "close", "mend", "retry", "export"),
    "killed in the first run": ("kill work right", "close", "retry", "mend", "retry", "export"),
    "killed before anything was recorded": ("kill load", "close", "retry", "mend", "retry", "export"),
    "killed, and closed after a retry": ("kill work right", "retry", "close", "mend", "retry", "export"),
    "killed again and again": ("kill work left", "kill work left", "kill finish", "export", "close", "close", "export"),
    "killed, closed, killed, closed": ("kill work right", "close", "kill finish", "close", "mend", "retry", "export"),
}
EXECUTORS = {"local": LOCAL, "parallel": PARALLEL, "emulator": EMULATOR}
CASES = [
    *((story, "file-system", "local", "") for story in STORIES),
    ("killed in the first run", "chunked-fs", "parallel", ""),
    ("killed, closed, killed, closed", "chunked-fs", "parallel", "again"),
    ("killed at the end of a retry", "chunked-fs", "local", "again"),
    ("killed, and closed after a retry", "chunked-fs", "local", "again"),
    ("killed at the end of a retry", "chunked-fs", "emulator", ""),
    ("killed in the first run", "chunked-fs", "emulator", "again"),
]


@pytest.fixture
def server() -> Iterator[Backend]:
    """A healthy backend."""
    with backend(healthy) as server:
        yield server


class Teller:
    """Lets a story happen in a project."""

    def __init__(self, project: Project, indicator: str = "") -> None:
        self._project = project
        self._indicator = indicator
        self._tries = 0

    def tell(self, action: str) -> None:
        """Let one thing happen."""
        verb, _, rest = action.partition(" ")
        actions: Mapping[str, Callable[[], object]] = {
            "run": self._run,
            "retry": self._run,
            "kill": lambda: self._kill(rest),
            "mend": (self._project.folder / "mended").touch,
            "close": lambda: self._project.export(RUN, "--abandoned").succeeded(),
            "export": lambda: self._project.export("--all").succeeded(),
        }
        actions[verb]()

    def _variables(self) -> dict[str, str]:
        self._tries += 1
        if self._tries == 1:
            return {}
        indicator = {"RUNNABLE_RETRY_INDICATOR": f"{self._indicator} {self._tries}"} if self._indicator else {}
        return {"RUNNABLE_RETRY_RUN_ID": RUN, **indicator}

    def _run(self) -> None:
        self._project.run(PIPELINE, RUN, **self._variables())

    def _kill(self, function: str) -> None:
        """Run, and kill everything while a function is under way and what runs beside it has come to its end."""
        folder = self._project.folder
        (folder / "hold").write_text(function, encoding="utf-8")
        (folder / "holding").unlink(missing_ok=True)
        process = self._project.start(PIPELINE, RUN, **self._variables())
        try:
            wait_until((folder / "holding").exists)
            if function == "work right":
                wait_until(lambda: self._has_ended("each side.left"))
        finally:
            kill(process)
        (folder / "hold").unlink()

    def _has_ended(self, branch: str) -> bool:
        """Whether the last thing that the host records of a branch is in the log: else the kill might cut a file."""
        try:
            steps = self._project.log(RUN)["steps"]["each side"]["branches"][branch]["steps"]
            return bool(steps[f"{branch}.success"]["attempts"])
        except (json.JSONDecodeError, KeyError):
            return False  # it is just being written


def wait_until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def contents(spans: Sequence[Sent]) -> dict[str, set[bytes]]:
    """All that was ever sent under each span id."""
    by_id: dict[str, set[bytes]] = defaultdict(set)
    for span in spans:
        by_id[span.span_id].add(span.content)
    return by_id


@pytest.mark.parametrize("case", CASES, ids=[", ".join(case) for case in CASES])
def test_no_span_id_ever_has_two_contents(tmp_path: Path, server: Backend, case: tuple[str, ...]) -> None:
    """All that was sent under a span id is the same, byte for byte, and in the end each trace has one root."""
    story, store, executor, indicator = case
    project = Project(tmp_path, store, EXECUTORS[executor], {"endpoint": server.url})
    teller = Teller(project, indicator)
    for action in STORIES[story]:
        teller.tell(action)
    twice = {ids: texts for ids, texts in contents(server.acknowledged).items() if len(texts) > 1}
    names = {span.span_id: span.name for span in server.acknowledged}
    assert [names[span_id] for span_id in twice] == []
    traces: dict[str, dict[str, Sent]] = defaultdict(dict)
    for span in server.acknowledged:
        traces[span.trace_id][span.span_id] = span
    for spans in traces.values():
        assert [span.name for span in spans.values() if span.parent not in spans] == [f"RUN {PIPELINE}.main"]
        assert outside(told_by_otlp(spans.values())) == []
    assert project.unsent() == []


@pytest.mark.parametrize(
    ("executor", "function"),
    [("local", "load"), ("local", "work right"), ("local", "close"), ("parallel", "work right"), ("emulator", "close")],
)
def test_a_killed_run_is_whole_once_it_is_closed(tmp_path: Path, server: Backend, executor: str, function: str) -> None:
    """What was recorded when the orchestrator was killed is, with all that was open, the tree of the log."""
    project = Project(tmp_path, "chunked-fs", EXECUTORS[executor], {"endpoint": server.url})
    teller = Teller(project)
    teller.tell("mend")
    teller.tell(f"kill {function}")
    before = {span.span_id for span in server.acknowledged}
    teller.tell("close")
    told = told_by_otlp(server.acknowledged)
    assert differences(told, Oracle(project.log(RUN)).told()) == []
    assert before <= set(told.spans)
    assert outside(told) == []


@pytest.mark.parametrize("pipeline", ["recovery", "nested"])
def test_a_replay_is_what_was_sent_live(tmp_path: Path, server: Backend, pipeline: str) -> None:
    """An export sends each span again, byte for byte."""
    project = Project(tmp_path, "chunked-fs", PARALLEL, {"endpoint": server.url})
    project.run(pipeline, RUN)
    live = sorted(server.acknowledged)
    server.acknowledged = []
    project.export(RUN).succeeded()
    assert sorted(server.acknowledged) == live


CALLER = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
TRACEPARENTS: Mapping[str, tuple[str, list[tuple[str, str]]]] = {
    "valid": (f"00-{CALLER[0]}-{CALLER[1]}-01", [CALLER]),
    "not sampled": (f"00-{CALLER[0]}-{CALLER[1]}-00", [CALLER]),
    "of a later version": (f"cc-{CALLER[0]}-{CALLER[1]}-01-more", [CALLER]),
    "with too much": (f"00-{CALLER[0]}-{CALLER[1]}-01-more", []),
    "of no version": (f"ff-{CALLER[0]}-{CALLER[1]}-01", []),
    "in capitals": (f"00-{CALLER[0].upper()}-{CALLER[1]}-01", []),
    "of zeros": (f"00-{'0' * 32}-{CALLER[1]}-01", []),
    "garbage": ("to whom it may concern, grüße ☃", []),
}


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Sent]]]:
    """What is sent of a run that was called with each TRACEPARENT, and replayed with another one."""
    with backend(healthy) as server:
        project = Project(tmp_path_factory.mktemp("called"), "file-system", LOCAL, {"endpoint": server.url})
        for name, (traceparent, _) in TRACEPARENTS.items():
            project.run("failing_shell", name, TRACEPARENT=traceparent)
        project.export("--all", TRACEPARENT=f"00-{'a' * 32}-{'b' * 16}-01").succeeded()
        yield {name: [span for span in server.acknowledged if span.run_id == name] for name in TRACEPARENTS}


@pytest.mark.parametrize("name", TRACEPARENTS)
def test_the_caller_is_linked_and_never_adopted(called: dict[str, list[Sent]], name: str) -> None:
    """No TRACEPARENT changes a trace id or becomes a parent; a valid one is a link of the root, live and replayed."""
    spans = called[name]
    oracle = Oracle({"run_id": name})
    assert {span.trace_id for span in spans} == {oracle.trace_id}
    ids = {span.span_id for span in spans}
    roots = [span for span in spans if span.parent not in ids]
    assert {span.parent for span in roots} == {""}
    assert len({span.content for span in roots}) == 1
    links = [
        (link.trace_id.hex(), link.span_id.hex(), {x.key: x.value.string_value for x in link.attributes})
        for link in roots[0].span.links
    ]
    expected: list[tuple[Any, ...]] = [(*link, {"runlog.link": "caller"}) for link in TRACEPARENTS[name][1]]
    assert links == expected
