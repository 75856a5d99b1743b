"""Grafana's dashboards, rules and data sources: as the generator makes them, and every expression has data."""

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runlog_otel.cli import loading
from runlog_otel.core import semconv
from runlog_otel.core.model import Facts, Header, Run
from runlog_otel.core.points import Point, known_points
from runlog_otel.exporters.metrics.prometheus import MetricsServer
from runlog_otel.exporters.metrics.series import SeriesTable
from tests.core import logs
from tests.core.logs import points_from_run
from tests.hosts.project import CONFIG as HOST_CONFIG
from tests.hosts.project import LOCAL, Project
from tests.peers.loopback import HOST
from tests.peers.process import wait_until
from tests.peers.prometheus import Prometheus, running_prometheus
from tests.stack import history
from tests.stack.alerting import Document, alert_rules, hurried_prometheus, load
from tests.stack.grafana_schema import SCHEMA
from tests.stack.shipped import CONFIGS

generate = pytest.importorskip("dashboards.generate", reason="the generator's library needs Python 3.11")
expressions = pytest.importorskip("dashboards.expressions")

GRAFANA = CONFIGS / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
PIPELINE, ANNOTATION = "train", "rows"


@dataclass(frozen=True)
class Query:
    """An expression that Grafana asks Prometheus for, and where it stands."""

    where: str
    expression: str
    is_range: bool


def data_sources() -> dict[str, Document]:
    """Grafana's data sources by their id."""
    files = (GRAFANA / "provisioning" / "datasources").iterdir()
    return {source["uid"]: source for file in files for source in load(file)["datasources"]}


def panels(path: Path) -> Iterator[Document]:
    """The panels of a dashboard, those in rows too."""
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        yield from [panel, *panel.get("panels", [])]


def panel_queries() -> Iterator[Query]:
    """What panels ask for."""
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel.get("targets", ()):
                where = f"{path.stem}: {panel['title']} {target['refId']}"
                yield Query(where, target["expr"], bool(target.get("range")))


def other_queries() -> Iterator[Query]:
    """What choices and spans ask for."""
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text(encoding="utf-8")).get("templating", {}).get("list", ()):
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            assert found, variable
            yield Query(f"{path.stem}: ${variable['name']}", f"count by ({found[2]}) ({found[1]})", is_range=False)
    for source in data_sources().values():
        for query in source["jsonData"].get("tracesToMetrics", {}).get("queries", ()):
            tags = f'cicd_pipeline_name="{PIPELINE}", cicd_pipeline_task_name="fit"'
            yield Query(f"spans: {query['name']}", query["query"].replace("$$__tags", tags), is_range=False)


def rule_queries() -> Iterator[Query]:
    """What Grafana's rules ask for."""
    for group in load(GRAFANA / "provisioning" / "alerting" / "runlog.yml")["groups"]:
        for rule in group["rules"]:
            for query in rule["data"]:
                if query["datasourceUid"] == "prometheus":
                    yield Query(f"{rule['title']} {query['refId']}", query["model"]["expr"], is_range=False)


def filled(expression: str) -> str:
    """An expression as Grafana sends it, for a dashboard that shows the last minute."""
    values = {"__rate_interval": "20s", "__range": "60s", "__interval": "2s", "pipeline": PIPELINE, "step": ".*"}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


def runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Two runs of real pipelines, and one with a retry and all that an attempt can say of itself, under one name."""
    monkeypatch.chdir(folder)
    own = Project(folder, "file-system", LOCAL)
    own.run("sequential", "good")
    own.run("side_by_side", "bad", FAILS="1")
    store = loading.project(str(folder / HOST_CONFIG))
    now_ns = time.time_ns()
    facts = Facts(dict.fromkeys(semconv.ATTEMPT_FACTS & semconv.METRICS.keys(), 1), {ANNOTATION: 3})
    attempts = [
        replace(
            logs.attempt(0, 1, ok=number > 1, number=number),
            start_ns=now_ns,
            end_ns=now_ns + number * 10**9,
            facts=facts,
        )
        for number in (1, 2)
    ]
    retried = logs.run(
        logs.task("fit", *attempts),
        logs.verdict("success", 3),
        has_executor_retries=True,
        header=Header(created_ns=now_ns),
    )
    return [replace(run, pipeline=PIPELINE) for run in (store.run("good"), store.run("bad"), retried)]


def own_points(now: float) -> list[Point]:
    """What `serve` tells of itself, in trouble."""
    old = {semconv.EXPORTER_LAST_POLL: now - 1000, semconv.RUNS_UNSENT: 3, semconv.EXPORTER_POLL_DURATION: 0.2}
    counted = (semconv.EXPORTER_RUNS_READ, semconv.EXPORTER_FAILURES, semconv.SPANS_EXPORTED, semconv.OVERFLOWED)
    values = old | dict.fromkeys(counted, 1) | {semconv.STORE_SIZE: 4096}
    return [Point(metric, (), value, int(now * 1e9)) for metric, value in values.items()]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, promtool: Path) -> Iterator[Prometheus]:
    """A Prometheus with the shipped rules and two weeks of history, that has scraped all of that."""
    folder, config, host = (tmp_path_factory.mktemp(name) for name in ("prometheus", "config", "host"))
    with pytest.MonkeyPatch.context() as patch:
        known = runs(host, patch)
    table = SeriesTable()
    server = MetricsServer(table, f"{HOST}:0")
    history.write_history(promtool, folder)
    own = own_points(time.time())
    table.add(replace(point, value=0) if semconv.METRICS[point.metric].kind == "counter" else point for point in own)
    table.add(point for run in known for point in known_points(run))
    trained, aged = ((semconv.PIPELINE_NAME, PIPELINE),), ((semconv.PIPELINE_NAME, history.PIPELINE),)
    table.replace(semconv.RUNS_ACTIVE, {trained: 1, aged: 1}, time.time_ns())
    table.replace(semconv.OLDEST_ACTIVE, {trained: 30, aged: 3 * history.DAY}, time.time_ns())
    table.add([Point(semconv.LAST_SUCCESS, aged, time.time() - 3 * history.DAY, time.time_ns())])
    points = [
        point
        for run in known
        for execution in points_from_run(run, annotations=(ANNOTATION,))
        for point in execution.points
    ]
    table.add(replace(point, value=0) for point in points if semconv.METRICS[point.metric].kind == "counter")
    table.add(replace(point, trace_id=b"") for point in points if semconv.METRICS[point.metric].kind == "histogram")
    target = server.url.partition("//")[2]
    with running_prometheus(promtool.parent, folder, hurried_prometheus(config, {"runlog-otel": target})) as running:
        running.wait_for("runlog_exporter_runs_unsent offset 4s")
        table.add([*points, *own])
        running.wait_for('ALERTS{alertname="RunlogStepFailed", alertstate="firing"} offset 4s')
        yield running
    server.close()


def samples(prometheus: Prometheus, query: Query) -> list[float]:
    """The values that an expression has."""
    expression = filled(query.expression)
    now = time.time()
    if query.is_range:
        found = prometheus.query_range(expression, now - 30, now, 1)
        return [float(value) for row in found for _, value in row["values"]]
    return [float(row["value"][1]) for row in prometheus.query(expression)]


@pytest.mark.parametrize("query", [*panel_queries(), *other_queries()], ids=lambda query: query.where)
def test_every_expression_of_a_panel_has_data(prometheus: Prometheus, query: Query) -> None:
    """Numbers, and not only those that are none."""
    values: list[float] = []

    def has_data() -> bool:
        values[:] = samples(prometheus, query)
        return any(not math.isnan(value) for value in values)

    assert wait_until(has_data), (filled(query.expression), values)


@pytest.mark.parametrize("query", [*rule_queries()], ids=lambda query: query.where)
def test_every_expression_of_a_rule_has_data(prometheus: Prometheus, query: Query) -> None:
    """Each alert has a series where it should fire: Grafana and Prometheus ask the same."""
    expression = query.expression
    if query.where.startswith("RunlogExporterDown"):
        expression = expression.replace("up{", "0 * up{")  # it is up, or the others would have no data
    assert wait_until(lambda: bool(prometheus.query(expression))), expression


def test_every_recorded_rule_is_well_and_has_data(prometheus: Prometheus) -> None:
    """No rule has an error, and what is recorded is there."""
    rules = prometheus.rules()
    assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules} == {
        (rule["name"], "ok", "") for rule in rules
    }
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    assert {name for name in recorded if not prometheus.query(f"last_over_time({name}[2w])")} == set()


def test_exemplars_lead_to_traces(prometheus: Prometheus) -> None:
    """The panels that ask for exemplars get trace ids, by the label that the data source names."""
    destinations = data_sources()["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    (name,) = (destination["name"] for destination in destinations)
    for path in DASHBOARDS:
        asking = [t for panel in panels(path) for t in panel.get("targets", ()) if t.get("exemplar")]
        assert asking
        for target in asking:
            now = time.time()
            found = prometheus.query_exemplars(filled(target["expr"]), now - 3600, now + 60)
            assert all(len(e["labels"][name]) == 32 for row in found for e in row["exemplars"])
            assert found


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_files_are_committed(name: str) -> None:
    """What the generator makes is what is shipped (`make dashboards` writes it again)."""
    assert (CONFIGS / name).read_text(encoding="utf-8") == generate.FILES[name]()


@pytest.mark.parametrize(
    ("metric", "part", "where"),
    [
        (semconv.RUN_DURATION, "count", {semconv.TASK_NAME: '="fit"'}),
        (semconv.RUN_DURATION, "", {}),
        (semconv.STEP_RESULTS, "bucket", {}),
    ],
)
def test_a_series_that_is_none_breaks_the_generator(metric: str, part: str, where: dict[str, str]) -> None:
    """A label that the metric has not, and a part that its kind has not, are errors."""
    with pytest.raises(ValueError, match="not a part of it, or not its labels"):
        expressions.series(metric, part, where)


def test_grafana_has_every_alert_of_prometheus() -> None:
    """Under the same name, with the same wait and labels, and no word that Grafana's templates do not know."""
    (group,) = load(GRAFANA / "provisioning" / "alerting" / "runlog.yml")["groups"]
    rules: dict[str, Any] = {rule["title"]: rule for rule in group["rules"]}
    for name, alert in alert_rules().items():
        rule = rules.pop(name)
        assert (rule["for"], rule["labels"]) == (alert.get("for", "0s"), alert["labels"])
        assert set(rule["annotations"]) == set(alert["annotations"])
        text = json.dumps(rule["annotations"])
        assert "$" not in text
        assert "query }}" not in text
    assert rules == {}


def test_everything_refers_to_what_there_is() -> None:
    """Data sources and dashboards are referred to by the ids that they are provisioned with."""
    texts = [path.read_text(encoding="utf-8") for path in GRAFANA.rglob("*.*")]
    uids = {json.loads(path.read_text(encoding="utf-8"))["uid"] for path in DASHBOARDS}
    referred = {found for text in texts for found in re.findall(r'[dD]atasourceU[iI][dD]"?: "?(\w+)', text)}
    assert referred <= {*data_sources(), "__expr__"}
    assert {found for text in texts for found in re.findall(r"/d/([\w-]+)", text)} == {"runlog-pipeline"} <= uids


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_of_the_types_that_grafana_publishes(path: Path) -> None:
    """A dashboard, and options and fields of each panel, have the names, types and values of Grafana's own types."""
    document = json.loads(path.read_text(encoding="utf-8"))
    faults = schema_faults("dashboard", document)
    assert document["schemaVersion"] == 42
    for panel in panels(path):
        if panel["type"] != "row":
            faults += schema_faults(f"{panel['type']} Options", panel["options"])
            faults += schema_faults(f"{panel['type']} FieldConfig", panel["fieldConfig"]["defaults"].get("custom", {}))
    assert faults == []


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_typing_error_in_a_dashboard_is_found(path: Path) -> None:
    """The types are strict: a wrong name or value is none of theirs."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert schema_faults("dashboard", document | {"titel": "x"})
    assert schema_faults("dashboard", document | {"graphTooltip": 7})
    assert schema_faults("timeseries FieldConfig", {"drawStyle": "bar"})


def schema_faults(name: str, document: Document) -> list[str]:
    """What the schema of that name has against a document; of options, Grafana fills in those that are left out."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))["schemas"].get(name)
    if schema is None:  # a stat has no fields of its own
        assert document == {}
        return []
    errors = jsonschema.Draft7Validator(schema).iter_errors(document)
    return [f"{name} {error.json_path}: {error.message}" for error in errors]
