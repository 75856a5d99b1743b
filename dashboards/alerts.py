"""Grafana-managed alert rules with the conditions of Prometheus's, for teams that use Grafana for alerting."""

import json
from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.builders import alerting, expr, prometheus
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.alerting import RelativeTimeRange
from grafana_foundation_sdk.models.common import DataSourceRef

from dashboards.expressions import label
from dashboards.panels import PROMETHEUS, trace_link
from runlog_otel.core import semconv

_EXPRESSIONS = DataSourceRef(type_val="__expr__", uid="__expr__")
_LAST_FAILURES = {"RunlogStepFailed": "runlog:last_failure:step", "RunlogRunFailed": "runlog:last_failure:pipeline"}
_DETAILS = {
    "step": semconv.TASK_NAME,
    "error": semconv.ERROR_TYPE,
    "message": semconv.EXCEPTION_MESSAGE,
    "trace": semconv.FAILURE_TRACE_ID,
}


def provisioning(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Grafana's provisioning file from Prometheus's rule file; Grafana reads the series that Prometheus records."""
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    group = {"orgId": 1, "name": "runlog-otel", "folder": "runlog-otel", "interval": "1m"}
    return {"apiVersion": 1, "groups": [group | {"rules": [_rule(alert) for alert in alerts]}]}


def _rule(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Query A is Prometheus's expression, which has a series while the alert fires; B has the details of a failure.

    C is true for any number, also 0: Grafana needs a condition on A.
    """
    name = alert["alert"]
    rule = alerting.Rule(name).uid(name.lower()).for_val(alert.get("for", "0s")).condition("C")
    rule.no_data_state("OK").exec_err_state("Error").labels(dict(alert["labels"]))
    rule.annotations(_annotations(alert))
    queries = {"A": alert["expr"]} | ({"B": _LAST_FAILURES[name]} if name in _LAST_FAILURES else {})
    for letter, expression in queries.items():
        query = prometheus.Dataquery().expr(expression).ref_id(letter).instant().datasource(PROMETHEUS)
        rule.with_query(_query(letter, str(PROMETHEUS.uid)).model(query))
    fires = expr.TypeMath().expression("abs($A) >= 0").ref_id("C").datasource(_EXPRESSIONS)
    rule.with_query(_query("C", str(_EXPRESSIONS.uid)).model(fires))
    built: dict[str, Any] = json.loads(json.dumps(rule.build(), cls=JSONEncoder))
    return {key: value for key, value in built.items() if key not in ("ruleGroup", "folderUID", "orgID")}


def _query(letter: str, datasource: str) -> alerting.Query:
    return alerting.Query(letter).datasource_uid(datasource).relative_time_range(RelativeTimeRange(600, 0))


def _annotations(alert: Mapping[str, Any]) -> dict[str, str]:
    """Prometheus's texts as Grafana templates, which have no `query`.

    Written with dots: Grafana reads `$…` in provisioning files as environment variables.
    """
    texts = {}
    for name, text in alert["annotations"].items():
        if name in _DETAILS and "| query" in text:
            value = f'{{{{ index .Values.B.Labels "{label(_DETAILS[name])}" }}}}'
            if name == "trace":  # Grafana's own address ends with a slash
                value = "{{ externalURL }}" + trace_link()[1].removeprefix("/").replace("${__value.raw}", value)
            texts[name] = f"{{{{ if .Values.B }}}}{value}{{{{ end }}}}"
        else:
            texts[name] = text.replace("$labels", ".Labels").replace("$value", ".Values.A.Value")
    return texts
