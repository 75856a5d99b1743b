"""Writes Grafana's dashboards and alert rules below `collector-config/grafana`."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from ruamel.yaml import YAML

from dashboards import alerts, pipeline, pipelines

CONFIG = Path(__file__).parents[1] / "collector-config"
RULES = CONFIG / "prometheus" / "rules" / "runlog.yml"


def _json(dashboard: Dashboard) -> str:
    document = json.loads(json.dumps(dashboard.build(), cls=JSONEncoder))
    # What the library writes unasked, and Grafana's types do not have (any more).
    for variable in document.get("templating", {}).get("list", ()):
        for name in ("auto", "auto_count", "auto_min"):
            del variable[name]
    for panel in document["panels"]:
        panel.get("options", {}).pop("footer", None)
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _alerts() -> str:
    rules = YAML(typ="safe").load(RULES.read_text(encoding="utf-8"))
    text = StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style, yaml.width = False, 4096
    yaml.dump(alerts.provisioning(rules), text)
    return f"# Made from prometheus/rules/runlog.yml by `make dashboards`.\n{text.getvalue()}"


FILES: dict[str, Callable[[], str]] = {
    "grafana/dashboards/pipelines.json": lambda: _json(pipelines.dashboard()),
    "grafana/dashboards/pipeline.json": lambda: _json(pipeline.dashboard()),
    "grafana/provisioning/alerting/runlog.yml": _alerts,
}

if __name__ == "__main__":
    for name, text in FILES.items():
        (CONFIG / name).write_text(text(), encoding="utf-8")
