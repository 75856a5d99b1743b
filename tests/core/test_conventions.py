"""What is exported under names of OpenTelemetry's conventions is what their registry says: `registry-1.44.0.json`.

The file is an excerpt of the registry's model; it names its source.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.semconv.schemas import Schemas

from runlog_otel.core import semconv
from runlog_otel.core.model import Ending, Header, Run, Status
from runlog_otel.core.points import points_from_trace
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Result, SpanRole
from runlog_otel.exporters.otlp.resources import spans_by_resource
from tests.core.logs import at, attempt, branch, composite, run, task, verdict

_VERSION = "1.44.0"
REGISTRY: dict[str, Any] = json.loads(Path(__file__).with_name(f"registry-{_VERSION}.json").read_text(encoding="utf-8"))
_NAMES = [spec for spec in semconv.ATTRIBUTES if not spec.name.startswith(("runlog.", "otel."))]
_METRICS = [metric for metric in semconv.METRICS.values() if not metric.name.startswith("runlog.")]
_SPANS = {SpanRole.RUN: "span.cicd.pipeline.run.server", SpanRole.STEP: "span.cicd.pipeline.task.internal"}
RUNS = [
    run(task("a", attempt(1, 2)), verdict("success", 3)),
    run(task("a", attempt(1, 2, ok=False)), verdict("fail", 3), status=Status.FAIL),
    run(
        composite("p", "parallel", branch("p.b", task("p.b.w"))),
        status=Status.PROCESSING,
        header=Header(created_ns=at(0), endings=(Ending(1, "error", at(5), open_steps=("p", "p.b.w")),)),
    ),
]
"""Of every result that the conventions ask an error type for, and of one that they do not."""


def test_the_schema_is_published() -> None:
    """The package of the conventions has it, and the excerpt is of the same version."""
    assert Schemas(semconv.SCHEMA_URL).value.endswith(f"/{_VERSION}")
    assert _VERSION in REGISTRY["source"]


@pytest.mark.parametrize("spec", _NAMES, ids=[spec.name for spec in _NAMES])
def test_an_attribute_has_the_type_of_the_registry(spec: semconv.AttributeSpec) -> None:
    """An enumeration's values are texts."""
    registered = REGISTRY["attributes"][spec.name]["type"]
    assert spec.type == ("string" if registered.startswith("enum") else registered)


@pytest.mark.parametrize("name", [semconv.PIPELINE_RESULT, semconv.TASK_RESULT])
def test_results_are_those_of_the_registry(name: str) -> None:
    """All of them, and no others."""
    assert REGISTRY["attributes"][name]["type"].split()[1:] == [result.value for result in Result]


@pytest.mark.parametrize("metric", _METRICS, ids=[metric.name for metric in _METRICS])
def test_a_metric_is_that_of_the_registry(metric: semconv.Metric) -> None:
    """Instrument, unit, and every attribute that it asks for; the run's tag is ours, and off by default."""
    registered = REGISTRY["metrics"][metric.name]
    assert (metric.kind, metric.unit) == (registered["instrument"], registered["unit"])
    asked = {name for name, level in registered["attributes"].items() if level.endswith("required")}
    assert asked <= set(metric.labels) - {semconv.RUN_TAG} <= set(registered["attributes"])


@pytest.mark.parametrize("log", RUNS)
def test_spans_have_what_is_required(log: Run) -> None:
    """Also what is required on a condition, which for `error.type` is a failure or an error."""
    (trace,) = spans_from_run(log, ui="https://jaeger.example")
    for span in trace.spans:
        if registered := REGISTRY["spans"].get(_SPANS.get(span.role)):
            result = span.attributes.get(semconv.PIPELINE_RESULT) or span.attributes[semconv.TASK_RESULT]
            levels = ("required", "conditionally_required") if result in ("failure", "error") else ("required",)
            required = {name for name, level in registered["attributes"].items() if level in levels}
            assert required <= span.attributes.keys()


@pytest.mark.parametrize("log", RUNS)
def test_points_have_what_is_required(log: Run) -> None:
    """Each label that the registry requires has a value."""
    (trace,) = spans_from_run(log)
    for point in points_from_trace(log, trace).points:
        if registered := REGISTRY["metrics"].get(point.metric):
            required = {name for name, level in registered["attributes"].items() if level == "required"}
            assert required <= dict(point.labels).keys()


def test_the_resource_identifies_pipeline_and_run() -> None:
    """The entities of the CI/CD resource conventions."""
    (trace,) = spans_from_run(RUNS[0])
    ((resource, _),) = spans_by_resource({}, trace.spans)
    required = {n for entity in REGISTRY["entities"].values() for n, level in entity.items() if level == "required"}
    assert required == resource.keys()


def test_only_runs_and_steps_are_pipeline_runs_and_tasks() -> None:
    """Whoever counts spans by these attributes counts no attempt, branch or start marker."""
    for log in RUNS:
        (trace,) = spans_from_run(log)
        for span in trace.spans:
            assert (semconv.PIPELINE_RESULT in span.attributes) == (span.role is SpanRole.RUN)
            assert (semconv.TASK_NAME in span.attributes) == (span.role is SpanRole.STEP)
