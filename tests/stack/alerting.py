"""The shipped configs of Prometheus and Alertmanager, told where things are in a test, and in more of a hurry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.stack.shipped import CONFIGS

PROMETHEUS = CONFIGS / "prometheus"
JAEGER_UI = "https://jaeger.example"

Document = dict[str, Any]


def load(path: Path) -> Document:
    """A YAML file."""
    document: Document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return document


def hurried_prometheus(folder: Path, targets: Mapping[str, str], alertmanager: str = "") -> Path:
    """A copy of Prometheus's config and rules that scrapes and evaluates each second.

    Args:
        folder: an empty one.
        targets: host and port by job; a job that is not there is left out.
        alertmanager: host and port.
    """
    config = load(PROMETHEUS / "prometheus.yml")
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["global"]["external_labels"]["jaeger_ui"] = JAEGER_UI
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] in targets]
    for job in config["scrape_configs"]:
        job["static_configs"][0]["targets"] = [targets[job["job_name"]]]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager] if alertmanager else []
    rules = load(PROMETHEUS / "rules" / "runlog.yml")
    for group in rules["groups"]:
        group.pop("interval", None)
    (folder / "rules").mkdir()
    (folder / "rules" / "runlog.yml").write_text(json.dumps(rules), encoding="utf-8")  # JSON is YAML
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def alertmanager_with(folder: Path, webhook: str) -> Document:
    """Alertmanager's config as it is shipped, with the file of the webhook's URL in a folder."""
    (folder / "webhook-url").write_text(webhook, encoding="utf-8")
    config = load(CONFIGS / "alertmanager" / "alertmanager.yml")
    for receiver in config["receivers"]:
        receiver["webhook_configs"][0]["url_file"] = str(folder / "webhook-url")
    return config


def alert_rules() -> dict[str, Document]:
    """Prometheus's alerts by name."""
    groups = load(PROMETHEUS / "rules" / "runlog.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
