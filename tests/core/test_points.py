"""A run log becomes points: what an execution adds, once, whatever the order."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.model import CatalogItem, Facts, Header, Node, Run, Status, Value
from runlog_otel.core.points import Point, known_points, points_from_trace
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import SpanRole
from runlog_otel.exporters.metrics.series import SeriesTable
from tests.core.logs import SECOND, at, attempt, branch, composite, points_from_run, run, runs, task, verdict


def points(log: Run, *, by_tag: bool = False, is_abandoned: bool = False) -> list[tuple[str, dict[str, str], float]]:
    """The points of all executions: metric, labels without the pipeline, value."""
    executions = points_from_run(log, by_tag=by_tag, is_abandoned=is_abandoned)
    return [told(point) for execution in executions for point in execution.points]


def told(point: Point) -> tuple[str, dict[str, str], float]:
    labels = dict(point.labels)
    assert labels.pop("cicd.pipeline.name") == "train"
    return point.metric, labels, point.value


def of(metric: str, log: Run) -> list[tuple[dict[str, str], float]]:
    """The points of one metric."""
    return [(labels, value) for name, labels, value in points(log) if name == metric]


def test_a_run_that_succeeded_is_a_duration_and_a_last_success() -> None:
    """The conventions' name and labels; the time of the newest success is when it ended."""
    log = run(task("a", attempt(1, 3)), verdict("success", 4))
    executing = {"cicd.pipeline.run.state": "executing"}
    assert of(semconv.RUN_DURATION, log) == [(executing | {"cicd.pipeline.result": "success"}, 4 * SECOND + 1)]
    assert of(semconv.LAST_SUCCESS, log) == [({}, (at(4) + 1) / SECOND)]


def test_a_run_that_failed_says_why() -> None:
    """Result and error type of the run, the failed attempt, the newest failure with its trace and first line."""
    log = run(task("a", attempt(1, 3, ok=False)), verdict("fail", 4), status=Status.FAIL)
    (execution,) = points_from_run(log)
    (failure,) = [point for point in execution.points if point.metric == semconv.STEP_LAST_FAILURE]
    assert failure.details == (
        ("error.type", "_OTHER"),
        ("runlog.failure.trace_id", execution.execution.trace_id.hex()),
        ("exception.message", "no"),
    )
    failed = {"cicd.pipeline.run.state": "executing", "cicd.pipeline.result": "failure", "error.type": "step_failed"}
    assert of(semconv.RUN_DURATION, log) == [(failed, 4 * SECOND + 1)]
    assert of(semconv.RUN_ERRORS, log) == [({"error.type": "_OTHER"}, 1)]


def test_the_newest_failure_has_the_page_of_its_trace() -> None:
    """With the setting `ui`, for alerts."""
    log = run(task("a", attempt(1, 3, ok=False)), verdict("fail", 4), status=Status.FAIL)
    (trace,) = spans_from_run(log, ui="https://own/{trace_id}?from={start_ms}")
    (failure,) = [point for point in points_from_trace(log, trace).points if point.metric == semconv.STEP_LAST_FAILURE]
    url = f"https://own/{trace.execution.trace_id.hex()}?from={at(1) // 10**6}"
    assert dict(failure.details)["runlog.failure.trace_url"] == url


def test_iterations_share_one_label_set() -> None:
    """The value of an iteration is in no label; a named branch is."""
    work = [branch(f"m.{value}", task(f"m.{value}.work", attempt(1, 2)), verdict("success", 3, prefix=f"m.{value}."))
            for value in ("x", "y")]  # fmt: skip
    left = branch("p.left", task("p.left.fit", attempt(4, 5)), verdict("success", 6, prefix="p.left."))
    log = run(composite("m", "map", *work), composite("p", "parallel", left), verdict("success", 7))
    step = {"cicd.pipeline.task.name": "work", "runlog.step.type": "task", "cicd.pipeline.task.run.result": "success"}
    assert [(labels, value) for labels, value in of(semconv.STEP_RESULTS, log) if labels == step] == [(step, 1)] * 2
    assert [labels.get("runlog.branch.name") for labels, _ in of(semconv.BRANCH_DURATION, log)] == [None, None, "left"]


def test_attempts_beyond_the_first_are_retries() -> None:
    """A step that passed on its third attempt had two retries, and is flaky."""
    tries = [attempt(1, 2, ok=False), attempt(3, 4, ok=False, number=2), attempt(5, 6, number=3)]
    log = run(task("a", *tries), verdict("success", 7))
    assert of(semconv.STEP_RETRIES, log) == [({"cicd.pipeline.task.name": "a"}, 2)]
    passed = {"cicd.pipeline.task.name": "a", "runlog.attempt.number": "3"}
    assert of(semconv.STEP_PASSED_ON_ATTEMPT, log) == [(passed, 1)]


def test_a_pause_before_a_step_is_its_queue_time() -> None:
    """From the end of the step before, or from the start of the run."""
    log = run(task("a", attempt(1, 2)), task("b", attempt(5, 6)), verdict("success", 7))
    assert of(semconv.STEP_QUEUE_TIME, log) == [
        ({"cicd.pipeline.task.name": "a"}, SECOND),
        ({"cicd.pipeline.task.name": "b"}, 3 * SECOND),
    ]


def test_numbers_among_the_user_metrics_are_gauges() -> None:
    """Nested ones are joined by dots already; text is no number."""
    told = replace(attempt(1, 2), metrics={"loss.train": 0.25, "epochs": 3, "is_final": True, "name": "best"})
    log = run(task("a", told), verdict("success", 3))
    assert {labels["runlog.user.metric.name"]: value for labels, value in of(semconv.USER_METRIC, log)} == {
        "loss.train": 0.25,
        "epochs": 3.0,
        "is_final": 1.0,
    }


def test_catalog_items_count_once_by_stage() -> None:
    """All of them, more than a span tells, of a step that succeeded."""
    items = tuple(CatalogItem(f"file {number}", stage) for number in range(100) for stage in ("get", "put", "put"))
    log = run(replace(task("a", attempt(1, 2)), catalog=items), verdict("success", 3))
    stages = Counter(labels["runlog.catalog.stage"] for labels, _ in of(semconv.CATALOG_ITEMS, log))
    assert stages == {"get": 100, "put": 100}


def test_durations_of_steps_and_branches_say_their_error() -> None:
    """As those of attempts do."""
    inner = branch("p.b", task("p.b.w", attempt(1, 2, ok=False)), verdict("fail", 3, prefix="p.b."))
    log = run(composite("p", "parallel", inner, status=Status.FAIL), verdict("fail", 4), status=Status.FAIL)
    errors = {
        metric: [labels["error.type"] for labels, _ in of(metric, log)]
        for metric in (semconv.STEP_DURATION, semconv.BRANCH_DURATION)
    }
    assert errors == {semconv.STEP_DURATION: ["branch_failed", "_OTHER"], semconv.BRANCH_DURATION: ["step_failed"]}


def test_what_attempts_used_is_observed_by_step() -> None:
    """Time in nanoseconds as any duration, sizes in bytes, limits as they were last; odd values are left out."""
    used: dict[str, Value] = {
        semconv.CPU_TIME: 2.5,
        semconv.MEMORY_PEAK: 300_000_000,
        semconv.IO_READ: math.nan,
        semconv.IO_WRITE: "much",
        semconv.MEMORY_LIMIT: 2**30,
        semconv.CPU_LIMIT: 1.5,
    }
    log = run(task("a", replace(attempt(1, 2), facts=Facts(used))), verdict("success", 3))
    (execution,) = points_from_run(log)
    observed = {point.metric: point.value for point in execution.points if point.metric in semconv.RESOURCES}
    assert observed == {
        semconv.CPU_TIME: 2_500_000_000,
        semconv.MEMORY_PEAK: 300_000_000,
        semconv.MEMORY_LIMIT: 2**30,
        semconv.CPU_LIMIT: 1.5,
    }


def test_listed_annotations_are_gauges() -> None:
    """Only numbers, and only those of the list."""
    facts = Facts(annotations={"rows": 3, "note": "x", "other": 1})
    log = run(task("a", replace(attempt(1, 2), facts=facts)), verdict("success", 3))
    (trace,) = spans_from_run(log)
    counted = points_from_trace(log, trace, annotations=("rows", "note", "none")).points
    gauges = [(dict(point.labels)["runlog.annotation.name"], point.value)
              for point in counted if point.metric == semconv.ANNOTATION]  # fmt: skip
    assert gauges == [("rows", 3.0)]


def test_each_execution_of_a_run_counts() -> None:
    """The first failed, its retry did not; the step that had succeeded is not counted again."""
    log = run(
        task("a", attempt(1, 2)),
        task("b", attempt(3, 4, ok=False), attempt(11, 12, number=2)),
        verdict("fail", 5),
        verdict("success", 13),
    )
    results = [(labels["cicd.pipeline.task.name"], labels["cicd.pipeline.task.run.result"])
               for labels, _ in of(semconv.STEP_RESULTS, log)]  # fmt: skip
    assert results == [("a", "success"), ("b", "failure"), ("b", "success")]
    assert [labels["cicd.pipeline.result"] for labels, _ in of(semconv.RUN_DURATION, log)] == ["failure", "success"]


def test_a_run_that_has_not_ended_adds_nothing_until_it_is_abandoned() -> None:
    """Then its result is an error."""
    log = run(task("a", attempt(1, 2)), task("b"), status=Status.PROCESSING)
    assert points(log) == []
    labels = {"cicd.pipeline.run.state": "executing", "cicd.pipeline.result": "error", "error.type": "abandoned"}
    assert (semconv.RUN_DURATION, labels, 2 * SECOND) in points(log, is_abandoned=True)


def test_known_label_sets_begin_at_zero() -> None:
    """Both results of each node of the definition, those of the run, retries and active runs."""
    log = replace(run(), graph=(Node("a", "task"), Node("m", "map")))
    zeros = list(known_points(log))
    assert {point.value for point in zeros} == {0}
    results = [told(point)[1] for point in zeros if point.metric == semconv.STEP_RESULTS]
    assert [tuple(labels.values()) for labels in results] == [
        ("a", "task", "success"),
        ("a", "task", "failure"),
        ("m", "map", "success"),
        ("m", "map", "failure"),
    ]


def test_what_a_run_adds_was_known_before() -> None:
    """Each result counter, and duration of a run, is among the label sets that began at zero.

    The error of a failed step is a label of its duration, and is not known before.
    """
    log = run(
        task("a", attempt(1, 2)),
        composite("m", "map", branch("m.1", task("m.1.w", attempt(3, 4, ok=False)), verdict("fail", 5, prefix="m.1."))),
        verdict("fail", 6),
    )
    log = replace(log, graph=(Node("a", "task"), Node("m", "map"), Node("w", "task")))
    counted = {(p.metric, p.labels) for e in points_from_run(log) for p in e.points}
    started = {(p.metric, p.labels) for p in known_points(log)}
    metrics = (semconv.RUN_DURATION, semconv.STEP_RESULTS)
    assert {key for key in counted if key[0] in metrics} <= started


def test_the_tag_is_a_label_only_when_asked_for() -> None:
    """Tags may be many."""
    log = replace(run(task("a", attempt(1, 2)), verdict("success", 3)), tag="nightly")
    assert all("runlog.run.tag" not in labels for _, labels, _ in points(log))
    assert {labels["runlog.run.tag"] for _, labels, _ in points(log, by_tag=True)} == {"nightly"}


@given(runs())
def test_points_say_no_more_than_their_metric_declares(log: Run) -> None:
    """Labels and details are those of `semconv.METRICS`; none names a run, a pod or a host."""
    for execution in points_from_run(log, is_abandoned=True):
        for point in execution.points:
            metric = semconv.METRICS[point.metric]
            assert [name for name, _ in point.labels] == [n for n in metric.labels if n in dict(point.labels)]
            assert {name for name, _ in point.details} <= set(metric.details)
            assert log.run_id not in dict(point.labels).values() or log.run_id in (log.pipeline, *step_names(log))


def step_names(log: Run) -> set[str]:
    """Every text that a label may rightly have."""
    fixed = {"executing", "success", "failure", "error", "skip", "task", "map", "loop", "parallel", "conditional"}
    branches = {b.name for step in log.all_steps() for b in step.branches}
    metrics = {name for step in log.all_steps() for a in step.attempts for name in a.metrics}
    numbers = {"1", "2", "3", "4", "5+", "_OTHER", "step_failed", "abandoned", "branch_failed"}
    return {step.name for step in log.all_steps()} | branches | metrics | fixed | numbers


@given(runs())
def test_counts_agree_with_the_spans(log: Run) -> None:
    """Each attempt span of a complete execution is one observation, each step span one result."""
    traces = [trace for trace in spans_from_run(log) if trace.is_complete]
    spans = Counter(span.role for trace in traces for span in trace.spans)
    counted = Counter(point.metric for execution in points_from_run(log) for point in execution.points)
    assert counted[semconv.ATTEMPT_DURATION] == spans[SpanRole.ATTEMPT]
    assert counted[semconv.STEP_RESULTS] == spans[SpanRole.STEP]
    assert counted[semconv.BRANCH_DURATION] == spans[SpanRole.BRANCH]
    assert counted[semconv.RUN_DURATION] == len(traces)


@given(st.lists(runs(), max_size=4).flatmap(lambda logs: st.tuples(st.just(logs), st.permutations(logs))))
def test_totals_do_not_depend_on_the_order(logs: tuple[list[Run], list[Run]]) -> None:
    """Counters and histograms of the same executions in another order are the same, to the nanosecond."""

    def totals(ordered: list[Run]) -> dict[object, object]:
        table = SeriesTable(10**6)
        for log in ordered:
            for execution in points_from_run(log, is_abandoned=True):
                table.add(execution.points)
        return {
            (metric.name, labels): (series.value, series.buckets)
            for metric, rows in table.snapshot()
            for labels, series in rows
            if metric.kind != "gauge"
        }

    assert totals(logs[0]) == totals(logs[1])


@pytest.mark.parametrize("metric", semconv.METRICS.values(), ids=lambda metric: metric.name)
def test_labels_are_names_of_the_list(metric: semconv.Metric) -> None:
    """What a metric is labelled by is an attribute with a help text, and never the run."""
    assert {*metric.labels, *metric.details} <= {name.name for name in semconv.ATTRIBUTES}
    assert semconv.PIPELINE_RUN_ID not in metric.labels


def test_a_run_without_any_time_has_no_points() -> None:
    """There is nothing to tell of it."""
    assert points(replace(run(task("a")), header=Header())) == []
