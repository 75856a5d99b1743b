"""The pure function from a run log to spans."""

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.identity import span_id
from runlog_otel.core.memo import JoinedAttributes, SpanMemo
from runlog_otel.core.model import Attempt, CatalogItem, CodeIdentity, Header, Run, Status
from runlog_otel.core.redaction import RedactionPolicy
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Execution, Span, SpanRole, Trace, span_from_attempt
from runlog_otel.exporters.otlp.wire import payload_from_spans
from tests.core.logs import at, attempt, branch, composite, run, runs, task, verdict


def tree(trace: Trace) -> dict[str, str | None]:
    """Every span's place by its path → its parent's place."""
    places = {span.span_id: _place(span) for span in trace.spans}
    return {places[span.span_id]: places.get(span.parent_span_id) for span in trace.spans}


def _place(span: Span) -> str:
    path = next(
        (
            span.attributes[key]
            for key in (semconv.TASK_RUN_ID, semconv.BRANCH_PATH, semconv.STEP_PATH)
            if key in span.attributes
        ),
        "",
    )
    number = span.attributes.get(semconv.ATTEMPT_NUMBER, "")
    return f"{span.role.value} {path} {number}".strip()


def results(trace: Trace) -> dict[str, object]:
    """Every span's place → its result."""
    keys = (semconv.PIPELINE_RESULT, semconv.TASK_RESULT, semconv.BRANCH_RESULT, semconv.ATTEMPT_RESULT)
    return {
        _place(span): next(span.attributes[key] for key in keys if key in span.attributes)
        for span in trace.spans
        if span.role is not SpanRole.START
    }


def only(run: Run, **options: object) -> Trace:
    """The one trace of a run."""
    (trace,) = spans_from_run(run, **options)  # type: ignore[arg-type]
    return trace


def named(spans: Iterable[Span], place: str) -> Span:
    return next(span for span in spans if _place(span) == place)


def test_a_run_is_a_tree_of_steps_branches_and_attempts() -> None:
    """Terminal nodes are no spans; everything else hangs where the log has it."""
    mapped = composite(
        "mp", "map", branch("mp.1", task("mp.1.work", attempt(2, 3)), verdict("success", 4, prefix="mp.1."))
    )
    assert tree(only(run(task("a", attempt(1, 2)), mapped, verdict("success", 5)))) == {
        "run": None,
        "start": "run",
        "step a": "run",
        "attempt a 1": "step a",
        "step mp": "run",
        "branch mp.1": "step mp",
        "step mp.1.work": "branch mp.1",
        "attempt mp.1.work 1": "step mp.1.work",
    }


def test_an_iteration_s_value_is_in_no_name() -> None:
    """Span names are low in cardinality; the value is an attribute, dots and all."""
    mapped = composite("mp", "map", replace(branch("mp.a.b", task("mp.a.b.work", attempt(1, 2))), name="a.b"))
    spans = only(run(mapped, verdict("success", 5))).spans
    assert [span.name for span in spans] == ["RUN train", "START train", "mp", "mp/iteration", "work", "work attempt"]
    assert named(spans, "branch mp.a.b").attributes[semconv.BRANCH_NAME] == "a.b"


def test_a_branch_that_people_named_is_called_by_its_name() -> None:
    """The branches of a parallel are known when the pipeline is written."""
    step = composite("p", "parallel", branch("p.left", task("p.left.a", attempt(1, 2))))
    assert [span.name for span in only(run(step, verdict("success", 3))).spans][3] == "p/left"


def test_times_envelop_and_the_verdict_ends_the_run() -> None:
    """A container lasts from its first to its last part; the run begins when it was created."""
    mapped = composite(
        "mp",
        "map",
        branch("mp.1", task("mp.1.work", attempt(2, 3)), verdict("success", 3.5, prefix="mp.1.")),
        branch("mp.2", task("mp.2.work", attempt(2.5, 6)), verdict("success", 6.5, prefix="mp.2.")),
    )
    spans = only(run(task("a", attempt(1, 2)), mapped, verdict("success", 7))).spans
    assert [
        (_place(span), span.start_ns, span.end_ns)
        for span in spans
        if span.role in (SpanRole.RUN, SpanRole.STEP, SpanRole.BRANCH)
    ] == [
        ("run", at(0), at(7) + 1),
        ("step a", at(1), at(2)),
        ("step mp", at(2), at(6.5) + 1),
        ("branch mp.1", at(2), at(3.5) + 1),
        ("step mp.1.work", at(2), at(3)),
        ("branch mp.2", at(2.5), at(6.5) + 1),
        ("step mp.2.work", at(2.5), at(6)),
    ]


def test_a_reversed_clock_gives_the_shortest_duration() -> None:
    """An attempt that ends before it starts lasts a nanosecond: Jaeger warns of less."""
    span = named(only(run(task("a", attempt(5, 3)), verdict("success", 6))).spans, "attempt a 1")
    assert (span.start_ns, span.end_ns, span.attributes[semconv.CLOCK_IS_ADJUSTED]) == (at(5), at(5) + 1, True)


def test_a_verdict_that_seems_earlier_than_the_steps_ends_the_run_with_them() -> None:
    """The machine that recorded it is behind: the run holds its steps, and says that a time was moved."""
    inner = branch("p.x", task("p.x.a", attempt(4, 5)), verdict("success", 3, prefix="p.x."))
    trace = only(run(composite("p", "parallel", inner), verdict("success", 1)))
    adjusted = {_place(s): (s.start_ns, s.end_ns) for s in trace.spans if semconv.CLOCK_IS_ADJUSTED in s.attributes}
    assert (trace.is_complete, adjusted) == (True, {"run": (at(0), at(5)), "branch p.x": (at(4), at(5))})


def test_a_run_holds_a_step_that_seems_to_begin_before_it() -> None:
    """The step's machine is behind that which started the run."""
    spans = only(run(task("a", attempt(-5, -4)), verdict("success", 3))).spans
    assert [
        (s.start_ns, s.end_ns, semconv.CLOCK_IS_ADJUSTED in s.attributes) for s in spans if s.role is not SpanRole.STEP
    ] == [
        (at(-5), at(3) + 1, True),
        (at(0), at(0) + 1, False),
        (at(-5), at(-4), False),
    ]


@pytest.mark.parametrize(("status", "result"), [(Status.SUCCESS, "success"), (Status.FAIL, "failure")])
def test_a_log_without_steps_has_ended_with_its_status(status: Status, result: str) -> None:
    """There is nothing to wait for."""
    trace = only(run(status=status))
    assert (trace.is_complete, results(trace)) == (True, {"run": result})


def test_attempts_that_share_a_number_have_ids_of_their_own() -> None:
    """A job's pod that runs again gives each attempt the number 1; the first keeps the id that it always had."""
    again = replace(attempt(3, 4), repeat=2)
    spans = only(run(task("job", attempt(1, 2, ok=False), again), verdict("success", 5))).spans
    attempts = [s for s in spans if s.role is SpanRole.ATTEMPT]
    assert [(s.span_id, s.attributes.get(semconv.ATTEMPT_REPEAT)) for s in attempts] == [
        (span_id("", "calm-otter-0611", 1, kind="attempt", path="job", attempt=1), None),
        (span_id("", "calm-otter-0611", 1, kind="attempt", path="job", attempt=1, repeat=2), 2),
    ]


def test_a_run_without_a_header_starts_with_its_first_attempt() -> None:
    """Older logs have no header: no start marker, no creation time."""
    trace = only(run(task("a", attempt(1, 2)), verdict("success", 3), header=Header()))
    assert ([span.role for span in trace.spans], trace.spans[0].start_ns) == (
        [SpanRole.RUN, SpanRole.STEP, SpanRole.ATTEMPT],
        at(1),
    )


def test_success_leaves_the_status_unset() -> None:
    """Only what failed has a status."""
    assert {span.error for span in only(run(task("a", attempt(1, 2)), verdict("success", 3))).spans} == {None}


def test_a_failed_attempt_is_an_error_with_an_exception_event() -> None:
    """The message is the status description and the event's message."""
    span = named(only(run(task("a", attempt(1, 2, ok=False)), verdict("fail", 3))).spans, "attempt a 1")
    (event,) = span.events
    assert (span.error, event.name, event.time_ns, dict(event.attributes)) == (
        "no",
        "exception",
        at(2),
        {"exception.message": "no"},
    )


def test_a_failed_step_fails_its_run() -> None:
    """The verdict of the root graph is the run's."""
    trace = only(run(task("a", attempt(1, 2, ok=False)), verdict("fail", 3), status=Status.FAIL))
    assert results(trace) == {"run": "failure", "step a": "failure", "attempt a 1": "failure"}
    assert trace.spans[0].error == "step a failed"
    assert trace.spans[0].attributes[semconv.ERROR_TYPE] == "step_failed"


def test_a_failed_step_does_not_mark_a_run_that_went_on_to_succeed() -> None:
    """`on_failure` recovered it: the step is red, the run is not."""
    trace = only(run(task("a", attempt(1, 2, ok=False)), task("b", attempt(2, 3)), verdict("success", 4)))
    assert results(trace)["run"] == "success"
    assert (trace.spans[0].error, named(trace.spans, "step a").error) == (None, "no")


def test_an_attempt_that_was_retried_with_success_does_not_mark_its_step() -> None:
    """Argo retries a pod within one execution."""
    step = task("a", attempt(1, 2, ok=False), attempt(3, 4, number=2))
    trace = only(run(step, verdict("success", 5)))
    assert results(trace) == {"run": "success", "step a": "success", "attempt a 1": "failure", "attempt a 2": "success"}


def test_a_failed_branch_fails_its_step() -> None:
    """The branch's own verdict counts, and its siblings do not save the step."""
    step = composite(
        "p",
        "parallel",
        branch("p.x", task("p.x.a", attempt(1, 2)), verdict("success", 2, prefix="p.x.")),
        branch("p.y", task("p.y.a", attempt(1, 2, ok=False)), verdict("fail", 2, prefix="p.y.")),
    )
    found = results(only(run(step, verdict("fail", 3))))
    assert (found["step p"], found["branch p.x"], found["branch p.y"]) == ("failure", "success", "failure")


def test_branches_without_an_attempt_are_mapped_too() -> None:
    """A map inside a parallel, which daemonic workers cannot run, leaves branches without any time."""
    inner = composite("p.x.mp", "map", branch("p.x.mp.1", status=Status.PROCESSING), status=Status.PROCESSING)
    step = composite("p", "parallel", branch("p.x", inner, status=Status.PROCESSING), status=Status.FAIL)
    trace = only(run(task("a", attempt(1, 2)), step, verdict("fail", 3), status=Status.FAIL))
    assert results(trace) == {
        "run": "failure",
        "step a": "success",
        "attempt a 1": "success",
        "step p": "failure",
        "branch p.x": "error",
        "step p.x.mp": "error",
        "branch p.x.mp.1": "error",
    }
    assert {(span.start_ns, span.end_ns) for span in trace.spans[4:]} == {(at(2), at(2) + 1)}


def test_the_steps_of_the_critical_path_say_so() -> None:
    """Whatever a memo remembers of the same steps in another run; composite ones are represented by what is in them."""
    memo = SpanMemo()
    for end, critical in ((3, ["step a", "step p.x.work"]), (5, ["step a", "step p.y.work"])):
        ways = [branch(f"p.{way}", task(f"p.{way}.work", attempt(1, last))) for way, last in (("x", 4), ("y", end))]
        log = run(task("a", attempt(0, 1)), composite("p", "parallel", *ways), verdict("success", 5))
        spans = only(log, memo=memo).spans
        assert [_place(span) for span in spans if span.attributes.get(semconv.STEP_IS_CRITICAL)] == critical


def test_an_unfinished_execution_has_nothing_provisional() -> None:
    """While a run goes on, only its start marker and its attempts are final."""
    going = run(task("a", attempt(1, 2)), task("b"), status=Status.PROCESSING)
    trace = only(going)
    assert (trace.is_complete, [span.role for span in trace.spans]) == (False, [SpanRole.START, SpanRole.ATTEMPT])


def test_an_abandoned_execution_is_closed_as_an_error() -> None:
    """What never ended is no failure of the pipeline."""
    trace = only(run(task("a", attempt(1, 2)), task("b"), status=Status.PROCESSING), is_abandoned=True)
    assert results(trace) == {"run": "error", "step a": "success", "attempt a 1": "success", "step b": "error"}
    assert (trace.spans[0].error, trace.spans[0].attributes[semconv.ERROR_TYPE]) == ("it never ended", "abandoned")


def test_on_argo_a_failed_run_has_no_verdict() -> None:
    """The failing pod sets the run's status; the others may still be going on."""
    failed, going = task("a", attempt(1, 2, ok=False)), task("b", attempt(1, 5))
    argo = run(failed, going, status=Status.FAIL, has_executor_retries=True)
    assert results(only(argo))["run"] == "failure"
    still = replace(going, attempts=(), status=Status.PROCESSING)
    assert only(replace(argo, steps=(failed, still))).is_complete is False


def test_a_retry_is_a_trace_of_its_own_that_links_to_the_one_before() -> None:
    """Steps that were skipped are not in it."""
    first, second = spans_from_run(
        run(
            task("a", attempt(1, 2)),
            task("b", attempt(2, 3, ok=False), attempt(11, 12, number=2)),
            verdict("fail", 4),
            verdict("success", 13),
        )
    )
    assert tree(second) == {"run": None, "step b": "run", "attempt b 2": "step b"}
    (link,) = second.spans[0].links
    assert (link.trace_id, link.span_id) == (first.spans[0].trace_id, first.spans[0].span_id)
    assert (results(first)["run"], results(second)["run"]) == ("failure", "success")


def test_a_retry_changes_no_byte_of_the_execution_before() -> None:
    """Composite steps too are told from what the log cannot change: their attempts."""

    def logged(*, is_retried: bool) -> Run:
        again = (attempt(11, 12, number=2),) if is_retried else ()
        later = (9.0,) if is_retried else ()
        step = composite(
            "p",
            "parallel",
            branch("p.x", task("p.x.a", attempt(1, 2)), verdict("success", 2, *later, prefix="p.x.")),
            branch(
                "p.y",
                task("p.y.a", attempt(1, 2, ok=False), *again),
                verdict("fail", 2, prefix="p.y."),
                *([verdict("success", 12, prefix="p.y.")] if is_retried else []),
            ),
            status=Status.SUCCESS if is_retried else Status.FAIL,
        )
        ends = [verdict("success", 13)] if is_retried else []
        return run(step, verdict("fail", 3), *ends, status=Status.SUCCESS if is_retried else Status.FAIL)

    assert spans_from_run(logged(is_retried=True))[0] == only(logged(is_retried=False))


@pytest.mark.parametrize(
    ("traceparent", "is_linked"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", True),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", False),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_the_caller_s_trace_is_linked_never_adopted(traceparent: str, is_linked: bool) -> None:
    """A malformed or foreign TRACEPARENT changes no id."""
    called = run(task("a", attempt(1, 2)), verdict("success", 3), header=Header(at(0), 0, traceparent))
    alone = run(task("a", attempt(1, 2)), verdict("success", 3))
    root, expected = only(called).spans[0], only(alone).spans[0]
    assert bool(root.links) is is_linked
    assert replace(root, links=()) == expected


def test_a_rerun_links_to_its_original() -> None:
    """Under a new id a run says which one it runs again; skipped steps are skips."""
    skipped = replace(task("a"), is_mock=True, status=Status.SUCCESS)
    again = replace(run(skipped, task("b", attempt(1, 2)), verdict("success", 3)), original_run_id="old")
    trace = only(again)
    assert trace.spans[0].links[0].trace_id == Execution("old", "train").trace_id
    assert results(trace)["step a"] == "skip"


def test_a_job_is_a_run_with_one_step() -> None:
    """A job has no graph and so no verdict."""
    job = replace(task("job", attempt(1, 2)), kind="job")
    assert results(only(run(job))) == {"run": "success", "step job": "success", "attempt job 1": "success"}
    failing = replace(task("job", attempt(1, 2, ok=False)), kind="job")
    assert results(only(run(failing, status=Status.FAIL)))["run"] == "failure"


def test_an_attempt_says_what_the_log_has_of_it() -> None:
    """Parameter names, metrics, code identities: values of parameters stay at home."""
    recorded = replace(
        attempt(1, 2),
        input_parameters=("rate",),
        output_parameters=("model",),
        metrics={"loss.0": 0.5},
        code=(
            CodeIdentity("git", "abc", "https://me:token@git.example/repo.git", is_dependable=True),
            CodeIdentity("docker", "sha256:def"),
            CodeIdentity("argo", "uid-1"),
        ),
    )
    span = span_from_attempt(Execution("r", "p"), task("a"), recorded)
    assert dict(span.attributes) == {
        "cicd.pipeline.name": "p",
        "cicd.pipeline.run.id": "r",
        "runlog.execution": 1,
        "runlog.step.name": "a",
        "runlog.step.path": "a",
        "runlog.attempt.number": 1,
        "runlog.attempt.result": "success",
        "runlog.parameters.input": ("rate",),
        "runlog.parameters.output": ("model",),
        "vcs.ref.head.revision": "abc",
        "vcs.repository.url.full": "https://git.example/repo",
        "runlog.vcs.is_clean": True,
        "container.image.id": "sha256:def",
        "runlog.code.argo": "uid-1",
        "runlog.metric.loss.0": 0.5,
    }


def test_catalog_items_are_events_of_a_step_that_succeeded() -> None:
    """A host that writes an item twice is told once; get at the start, put at the end."""
    items = (CatalogItem("in.csv", "get", "h1"), CatalogItem("out.csv", "put"), CatalogItem("in.csv", "get", "h1"))
    step = replace(task("a", attempt(1, 2)), catalog=items)
    events = named(only(run(step, verdict("success", 3))).spans, "step a").events
    assert [(event.time_ns, event.attributes[semconv.CATALOG_NAME]) for event in events] == [
        (at(1), "in.csv"),
        (at(2), "out.csv"),
    ]


def test_links_to_the_page_of_a_trace() -> None:
    """With `ui` set the run and its steps say where they are to be seen."""
    spans = only(run(task("a", attempt(1, 2)), verdict("success", 3)), ui="http://localhost:16686/").spans
    page = f"http://localhost:16686/trace/{spans[0].trace_id.hex()}"
    assert spans[0].attributes[semconv.PIPELINE_RUN_URL] == page
    assert named(spans, "step a").attributes[semconv.TASK_RUN_URL] == f"{page}?uiFind={spans[2].span_id.hex()}"


def test_a_map_of_12000_iterations_is_mapped_whole() -> None:
    """Nothing is cut, and no list of iterations grows with them."""
    branches = [
        branch(f"mp.{n}", task(f"mp.{n}.work", attempt(n, n + 1)), verdict("success", n + 1, prefix=f"mp.{n}."))
        for n in range(12_000)
    ]
    spans = only(run(composite("mp", "map", *branches), verdict("success", 13_000))).spans
    assert len({span.span_id for span in spans}) == len(spans) == 3 + 12_000 * 3


@given(runs())
def test_every_log_maps_to_whole_trees(log: Run) -> None:
    """One root, no orphan, no id twice, children inside their parents, whatever the log says."""
    for trace in spans_from_run(log, is_abandoned=True):
        by_id = {span.span_id: span for span in trace.spans}
        assert len(by_id) == len(trace.spans)
        assert [span.role for span in trace.spans if not span.parent_span_id] == [SpanRole.RUN]
        for span in trace.spans:
            assert span.start_ns < span.end_ns
            parent = by_id.get(span.parent_span_id)
            if parent is not None:
                assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns
            else:
                assert not span.parent_span_id


@given(runs())
def test_attributes_are_short_and_encodable(log: Run) -> None:
    """Attributes stay under 2,048 bytes, and every one of them is UTF-8."""
    for trace in spans_from_run(log, is_abandoned=True):
        for span in trace.spans:
            values = [
                *span.attributes.values(),
                *(value for event in span.events for value in event.attributes.values()),
                span.error or "",
            ]
            for value in values:
                if isinstance(value, str | tuple):
                    assert sum(len(part.encode()) for part in ([value] if isinstance(value, str) else value)) < 2048


@given(runs())
def test_what_is_complete_is_a_part_of_what_is_final(log: Run) -> None:
    """Closing an execution adds containers, and changes no span that went out before."""
    closed = {trace.execution.number: trace for trace in spans_from_run(log, is_abandoned=True)}
    for trace in spans_from_run(log):
        assert _key(trace.spans) <= _key(closed[trace.execution.number].spans)


def _key(spans: Iterable[Span]) -> set[str]:
    return {repr(span) for span in spans}


def test_metrics_that_are_no_numbers_are_told_as_they_are() -> None:
    """NaN and infinity are values too."""
    recorded = replace(attempt(1, 2), metrics={"loss": math.inf, "stage": "x"})
    span = span_from_attempt(Execution("r", "p"), task("a"), recorded)
    assert (span.attributes["runlog.metric.loss"], span.attributes["runlog.metric.stage"]) == (math.inf, "x")


def test_an_attempt_without_times_stands_where_its_step_does() -> None:
    """A mocked job has an attempt without times: it is mapped at the run's start."""
    job = replace(task("job", Attempt(number=1, status=Status.SUCCESS)), kind="job")
    span = named(only(run(job)).spans, "attempt job 1")
    assert (span.start_ns, span.end_ns) == (at(0), at(0) + 1)


@given(st.lists(runs(), max_size=4))
def test_a_memo_changes_no_span(logs: list[Run]) -> None:
    """Whatever was mapped before with the same memo; the bytes tell the order of attributes too."""
    memo, policies = SpanMemo(), (RedactionPolicy(), RedactionPolicy(patterns=("a",)))
    for log, policy in [(log, policy) for log in (*logs, *logs) for policy in policies]:
        for remembered, made in zip(
            spans_from_run(log, policy=policy, memo=memo), spans_from_run(log, policy=policy), strict=True
        ):
            assert remembered == made
            assert payload_from_spans({}, remembered.spans) == payload_from_spans({}, made.spans)


def test_a_plain_step_is_remembered() -> None:
    """Else the test above would prove nothing: the second run's attributes are those of the first."""
    log = run(task("a", attempt(1, 2)), verdict("success", 3))
    memo = SpanMemo()
    spans_from_run(log, memo=memo)
    (trace,) = spans_from_run(replace(log, run_id="another"), memo=memo)
    assert [type(span.attributes) for span in trace.spans[-2:]] == [JoinedAttributes, JoinedAttributes]
    assert trace == spans_from_run(replace(log, run_id="another"))[0]
