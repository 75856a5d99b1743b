"""What only the processes of a run knew, as it stands on the spans."""

from dataclasses import replace

import pytest

from runlog_otel.core import semconv
from runlog_otel.core.attributes import browser_url
from runlog_otel.core.model import AttemptEvent, CodeIdentity, Facts, Header, Value
from runlog_otel.core.redaction import MASK
from runlog_otel.core.span_factory import span_from_attempt
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Execution, Span, SpanRole
from tests.core.logs import at, attempt, branch, composite, run, task, verdict

_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_CHILD = Header(created_ns=at(0), traceparent=_CALLER, is_child=True, tracestate="a=1,b=2")


def span_with(**facts: object) -> Span:
    """The span of an attempt with these facts."""
    return span_from_attempt(Execution("r", "p"), task("a"), replace(attempt(1, 2), facts=Facts(**facts)))  # type: ignore[arg-type]


def test_facts_of_an_attempt_are_its_attributes() -> None:
    """Where it ran, what it used, what its code said."""
    span = span_with(
        attributes={"host.name": "node-1", "runlog.attempt.cpu.time": 2.5}, annotations={"rows": 3, "of": ("a", "b")}
    )
    said: dict[str, Value] = {"host.name": "node-1", "runlog.attempt.cpu.time": 2.5, "rows": 3, "of": ("a", "b")}
    assert said.items() <= span.attributes.items()


def test_events_of_the_code_stand_before_the_failure() -> None:
    """In their order, each at its moment."""
    events = (AttemptEvent(at(1.5), "checkpoint", {"epoch": 3}), AttemptEvent(at(1.2), "saved"))
    failed = replace(attempt(1, 2, ok=False), facts=Facts(events=events))
    span = span_from_attempt(Execution("r", "p"), task("a"), failed)
    assert [(event.name, event.time_ns) for event in span.events] == [
        ("checkpoint", at(1.5)),
        ("saved", at(1.2)),
        ("exception", at(2)),
    ]
    assert span.events[0].attributes == {"epoch": 3}


def test_there_are_not_more_than_the_limits() -> None:
    """A log that another writer filled is cut."""
    many = {f"k{number}": number for number in range(200)}
    span = span_with(annotations=many, events=tuple(AttemptEvent(1, "e", many) for _ in range(100)))
    assert sum(name.startswith("k") for name in span.attributes) == 128
    assert (len(span.events), len(span.events[0].attributes)) == (64, 32)


def test_what_is_said_is_sanitised() -> None:
    """Names and values of annotations, names of events; the value of what is named like a secret is masked whole."""
    url = "https://me:hunter2@x.example/"
    span = span_with(annotations={"page": url, "api_key": 7, url: 1}, events=(AttemptEvent(1, url, {"to": (url,)}),))
    assert "hunter2" not in repr(span)
    assert span.attributes["api_key"] == MASK


def test_facts_of_a_run_are_attributes_of_its_span() -> None:
    """Who started it; and the commit, on which its attempts agree."""
    facts = {semconv.TRIGGER_TYPE: "ci", semconv.VCS_REF_NAME: "main"}
    code = (CodeIdentity("git", "abc", "git@git.example:team/repo.git", is_dependable=True),)
    steps = [task(name, replace(attempt(1, 2), code=code)) for name in "ab"]
    header = Header(created_ns=at(0), facts=facts)
    (trace,) = spans_from_run(run(*steps, verdict("success", 3), header=header))
    expected = {
        **facts,
        "vcs.ref.head.revision": "abc",
        "vcs.repository.url.full": "https://git.example/team/repo",
        "runlog.vcs.is_clean": True,
    }
    assert expected.items() <= trace.spans[0].attributes.items()


def test_attempts_of_different_commits_leave_the_run_without_one() -> None:
    """A retry after a commit continues a run."""
    steps = [task(name, replace(attempt(1, 2), code=(CodeIdentity("git", name, "u"),))) for name in "ab"]
    (trace,) = spans_from_run(run(*steps, verdict("success", 3)))
    assert semconv.VCS_REVISION not in trace.spans[0].attributes


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/org/repo.git", "https://github.com/org/repo"),
        ("git@github.com:org/repo.git", "https://github.com/org/repo"),
        ("ssh://git@git.example:2222/org/repo.git/", "https://git.example/org/repo"),
        ("git+ssh://git@git.example/org/repo", "https://git.example/org/repo"),
        ("git://git.example/repo.git", "https://git.example/repo"),
        ("http://me:p@ss@git.example:8080/org/repo.git?x=1", "http://git.example:8080/org/repo"),
        ("https://[::1]/repo.git", "https://[::1]/repo"),
        ("/srv/git/repo.git", ""),
        ("../repo", ""),
        ("file:///srv/repo.git", ""),
        (r"C:\repos\repo", ""),
        ("C:/repos/repo", ""),
        ("", ""),
    ],
)
def test_a_remote_is_told_as_the_address_of_its_pages(remote: str, url: str) -> None:
    """A browser opens it; a path on a machine has none."""
    assert browser_url(remote) == url


@pytest.mark.parametrize(
    ("image", "attributes"),
    [
        ("sha256:" + "a" * 64, {"container.image.id": "sha256:" + "a" * 64}),
        ("python", {"container.image.name": "python"}),
        ("host:5000/team/py:3.11", {"container.image.name": "host:5000/team/py", "container.image.tags": ("3.11",)}),
        ("py@sha256:ab", {"container.image.name": "py", "oci.manifest.digest": "sha256:ab"}),
    ],
)
def test_an_image_is_told_by_its_parts(image: str, attributes: dict[str, object]) -> None:
    """Id, or name with tag and digest."""
    span = span_from_attempt(
        Execution("r", "p"), task("a"), replace(attempt(1, 2), code=(CodeIdentity("docker", image),))
    )
    told = {key: value for key, value in span.attributes.items() if key.startswith(("container.", "oci."))}
    assert told == attributes


def test_a_child_joins_the_trace_of_its_caller() -> None:
    """Trace id, tracestate and parent are the caller's, and nothing links to it."""
    (trace,) = spans_from_run(run(task("a", attempt(1, 2)), verdict("success", 3), header=_CHILD))
    root = trace.spans[0]
    assert {span.trace_id.hex() for span in trace.spans} == {_CALLER[3:35]}
    assert {span.tracestate for span in trace.spans} == {"a=1,b=2"}
    assert (root.parent_span_id.hex(), root.links) == (_CALLER[36:52], ())
    assert [span.has_remote_parent for span in trace.spans] == [True] + [False] * (len(trace.spans) - 1)


def test_runs_and_retries_under_one_caller_keep_their_own_spans() -> None:
    """Their trace id is one, their span ids are not; a retry links to the execution before it."""
    header = replace(_CHILD, retries=((2, at(20)),))
    steps = task("a", attempt(1, 2, ok=False), attempt(21, 22, number=2)), verdict("fail", 3), verdict("success", 23)
    first, second = spans_from_run(run(*steps, header=header))
    (other,) = spans_from_run(replace(run(task("a", attempt(1, 2)), header=_CHILD), run_id="other"), is_abandoned=True)
    ids = [span.span_id for trace in (first, second, other) for span in trace.spans]
    assert len(set(ids)) == len(ids)
    (link,) = second.spans[0].links
    assert (link.trace_id, link.span_id) == (first.spans[0].trace_id, first.spans[0].span_id)


def test_a_child_without_a_valid_caller_has_a_trace_of_its_own() -> None:
    """A malformed `traceparent` changes no id."""
    log = run(task("a", attempt(1, 2)), verdict("success", 3))
    odd = replace(log, header=replace(log.header, is_child=True, traceparent="00-0-0-01", tracestate="a=1"))
    assert spans_from_run(odd) == spans_from_run(log)


def test_iterations_are_named_by_value_when_asked_for() -> None:
    """Not by default: their number has no limit."""
    log = run(composite("m", "map", branch("m.eu", task("m.eu.w", attempt(1, 2)))), verdict("success", 3))
    names = [
        next(span.name for span in trace.spans if span.role is SpanRole.BRANCH)
        for has_names in (False, True)
        for trace in spans_from_run(log, iteration_names=has_names)
    ]
    assert names == ["m/iteration", "m/eu"]
