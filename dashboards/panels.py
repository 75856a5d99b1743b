"""Panels in one style: a number, lines, bars, a heat map, a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.expressions import label
from runlog_otel.core import semconv

PROMETHEUS = common.DataSourceRef(type_val="prometheus", uid="prometheus")
JAEGER = common.DataSourceRef(type_val="jaeger", uid="jaeger")
PIPELINES_UID = "runlog-pipelines"
PIPELINE_UID = "runlog-pipeline"
PAGES = "http://localhost:9463"
"""Where docker-compose.yml publishes the pages of runs."""

_FINEST = "1m"  # of points in a graph: more than two scrapes
_Panel = TypeVar("_Panel", stat.Panel, timeseries.Panel, heatmap.Panel, table.Panel)
Panel = stat.Panel | timeseries.Panel | heatmap.Panel | table.Panel


@dataclass(frozen=True)
class Line:
    """A query of a graph, with the name of its lines; `traces` asks for exemplars."""

    expression: str
    legend: str
    traces: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table: the name of its field, its heading, unit, and where its values lead to."""

    field: str
    heading: str
    unit: str = ""
    link: tuple[str, str] | None = None


def trace_link() -> tuple[str, str]:
    """From a trace id to the trace, in Grafana's own view of it."""
    pane = {
        "datasource": JAEGER.uid,
        "queries": [{"refId": "A", "datasource": {"type": JAEGER.type_val, "uid": JAEGER.uid}, "query": "TRACE"}],
        "range": {"from": "now-30d", "to": "now"},
    }
    panes = quote(json.dumps({"trace": pane}, separators=(",", ":"))).replace("TRACE", "${__value.raw}")
    return "Trace", f"/explore?schemaVersion=1&panes={panes}"


def pipeline_link() -> tuple[str, str]:
    """From a pipeline's name to its dashboard."""
    return "Pipeline", f"/d/{PIPELINE_UID}?var-pipeline=${{__value.raw:percentencode}}&${{__url_time_range}}"


def number(
    title: str, expression: str, unit: str = "none", *, bad_from: float | None = None, help_: str = ""
) -> stat.Panel:
    """One current number; red from a value on."""
    panel = _panel(stat.Panel(), title, help_).unit(unit).span(4).height(4).no_value("none")
    steps = [dashboard.Threshold(value=None, color="green")]
    steps += [] if bad_from is None else [dashboard.Threshold(value=bad_from, color="red")]
    panel.thresholds(builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps))
    return panel.with_target(_query(expression, "A").instant())


def lines(title: str, unit: str, *queries: Line, width: int = 12, help_: str = "") -> timeseries.Panel:
    """Values over time; gaps are bridged, because runs are rare."""
    panel = _panel(timeseries.Panel(), title, help_).unit(unit).span(width).height(8).interval(_FINEST)
    panel.show_points(common.VisibilityMode.AUTO).span_nulls(True).min(0)
    for at, line in enumerate(queries):
        query = _query(line.expression, chr(ord("A") + at)).range().legend_format(line.legend)
        panel.with_target(query.exemplar(line.traces))
    return panel


def bars(title: str, unit: str, *queries: Line, width: int = 12, help_: str = "") -> timeseries.Panel:
    """Counts over time, on top of each other."""
    panel = lines(title, unit, *queries, width=width, help_=help_)
    panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).span_nulls(False).decimals(0)
    return panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))


def heat(title: str, expression: str, *, width: int = 12, help_: str = "") -> heatmap.Panel:
    """A histogram over time, of seconds."""
    panel = _panel(heatmap.Panel(), title, help_).span(width).height(8).interval(_FINEST)
    panel.calculate(False).y_axis(heatmap.YAxisConfig().unit("s")).cell_gap(1)
    query = _query(expression, "A").range().legend_format("{{le}}").format(PromQueryFormat.HEATMAP)
    return panel.with_target(query)


def rows(
    title: str,
    columns: Sequence[Column],
    expressions: Mapping[str, str],
    *,
    joined: str = "",
    width: int = 24,
    help_: str = "",
) -> table.Panel:
    """What is now, in rows.

    Args:
        title: of the panel.
        columns: those to show, in their order.
        expressions: queries by their letter; the value of query A is the field `Value #A`, of a single one `Value`.
        joined: the attribute that the rows of several queries have in common.
        width: of 24.
        help_: what it tells.
    """
    panel = _panel(table.Panel(), title, help_).span(width).height(9).filterable(True)
    panel.cell_options(common.TableAutoCellOptions())
    for letter, expression in expressions.items():
        panel.with_target(_query(expression, letter).instant().format(PromQueryFormat.TABLE))
    if joined:
        panel.with_transformation(_transformation("joinByField", {"byField": label(joined), "mode": "outer"}))
    shown = {column.field: index for index, column in enumerate(columns)}
    headings = {column.field: column.heading for column in columns}
    panel.with_transformation(_transformation("filterFieldsByName", {"include": {"names": list(shown)}}))
    panel.with_transformation(_transformation("organize", {"indexByName": shown, "renameByName": headings}))
    for column in columns:
        properties = [dashboard.DynamicConfigValue(id_val="unit", value=column.unit)] if column.unit else []
        if column.link:
            link = {"title": column.link[0], "url": column.link[1], "targetBlank": False}
            properties.append(dashboard.DynamicConfigValue(id_val="links", value=[link]))
        if properties:
            panel.override_by_name(column.heading, properties)
    return panel


def failures(where: str) -> table.Panel:
    """Every failure in the selected time range, with its trace: while it is a step's latest one, it has a series."""
    known = semconv.METRICS[semconv.STEP_LAST_FAILURE]
    fields = [label(name) for name in (*known.labels, *known.details)]
    pipeline, step, tag, error, trace, _, message = fields
    columns = [
        Column("Value", "when", "dateTimeAsIso"),
        Column(pipeline, "pipeline", link=pipeline_link()),
        Column(step, "step"),
        Column(tag, "tag"),
        Column(error, "error"),
        Column(message, "message"),
        Column(trace, "trace", link=trace_link()),
    ]
    expression = f"last_over_time({where}[$__range]) * 1000"
    return rows("Failures", columns, {"A": expression}, help_="The latest failure of each step between two scrapes.")


def variable(name: str, title: str, selector: str, attribute: str, *, has_all: bool = False) -> builders.QueryVariable:
    """A choice of the values that an attribute has."""
    query = f"label_values({selector}, {label(attribute)})"
    choice = builders.QueryVariable(name).label(title).datasource(PROMETHEUS).query(query)
    choice.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    return choice.multi(True).include_all(True).all_value(".*") if has_all else choice


def page(uid: str, title: str, help_: str, *, pages: str) -> builders.Dashboard:
    """A dashboard without panels, with a link to the pages of runs at a path."""
    new = builders.Dashboard(title).uid(uid).description(help_).tags(["runlog-otel"]).readonly()
    other = builders.DashboardLink("runlog-otel").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["runlog-otel"])
    new.link(other.include_vars(False).keep_time(True).icon("dashboard").tooltip("").url(""))
    own = builders.DashboardLink("Pages of runs").type(dashboard.DashboardLinkType.LINK).tags([])
    new.link(own.include_vars(False).keep_time(False).icon("external link").tooltip("").url(PAGES + pages))
    return new.time("now-24h", "now").refresh("1m").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)


def _panel(panel: _Panel, title: str, help_: str) -> _Panel:
    panel.title(title).datasource(PROMETHEUS)
    if help_:
        panel.description(help_)
    return panel


def _query(expression: str, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).ref_id(letter).datasource(PROMETHEUS)


def _transformation(id_: str, options: object) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=id_, options=options)
