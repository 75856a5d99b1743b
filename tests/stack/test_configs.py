"""Prometheus and Alertmanager take the shipped configs, and every alert fires when it should and not when not."""

import subprocess
from pathlib import Path

import pytest

from tests.peers.fixtures import StartAlertmanager, StartPrometheus
from tests.peers.process import wait_until
from tests.stack.alerting import PROMETHEUS, alert_rules, load
from tests.stack.shipped import CONFIGS

RULE_TESTS = sorted(path.name for path in (PROMETHEUS / "tests").glob("*.yml"))


def run(*command: str | Path) -> str:
    """Run a checker to its end, which must find nothing."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_finds_no_fault(promtool: Path) -> None:
    """Config and rules are as Prometheus wants them, lint included."""
    run(promtool, "check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS / "rules" / "runlog.yml")


@pytest.mark.parametrize("name", RULE_TESTS)
def test_alerts_fire_and_stay_silent(promtool: Path, name: str) -> None:
    """Prometheus's own tests of the rules pass."""
    assert "SUCCESS" in run(promtool, "test", "rules", PROMETHEUS / "tests" / name)


def test_every_alert_is_tested_both_ways() -> None:
    """For each alert there is a test in which it fires, and one in which it does not."""
    tested: dict[bool, set[str]] = {True: set(), False: set()}
    for name in RULE_TESTS:
        for case in load(PROMETHEUS / "tests" / name)["tests"]:
            for expected in case["alert_rule_test"]:
                tested[bool(expected["exp_alerts"])].add(expected["alertname"])
    assert tested == {True: set(alert_rules()), False: set(alert_rules())}


def test_every_alert_says_what_it_is() -> None:
    """Each has a summary, a description, a severity and a kind, and a section in the docs."""
    told = (CONFIGS.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
    for name, rule in alert_rules().items():
        assert {"summary", "description"} <= set(rule["annotations"])
        assert set(rule["labels"]) == {"severity", "kind"}
        assert f"### {name}\n" in told


def test_limits_as_documented_are_rules(promtool: Path, tmp_path: Path) -> None:
    """The rule file of one's own limits, in the docs, is one that Prometheus takes, of names that the rules know."""
    told = (CONFIGS.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
    path = tmp_path / "limits.yml"
    path.write_text(told.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", path)
    rules = (PROMETHEUS / "rules" / "runlog.yml").read_text(encoding="utf-8")
    for rule in load(path)["groups"][0]["rules"]:
        assert rule["labels"]["is"] == "set"
        assert f'{rule["record"]}{{is="set"}}' in rules


def test_prometheus_starts_with_the_shipped_config(start_prometheus: StartPrometheus) -> None:
    """As it stands: its jobs are scraped, its rules are loaded."""
    prometheus = start_prometheus(PROMETHEUS / "prometheus.yml")
    assert wait_until(lambda: len(prometheus.targets()) > 1)
    assert {target["labels"]["job"] for target in prometheus.targets()} == {
        "runlog-otel",
        "collector-spans",
        "victorialogs",
    }
    assert set(alert_rules()) <= {rule["name"] for rule in prometheus.rules()}


def test_alertmanager_starts_with_the_shipped_config(amtool: Path, start_alertmanager: StartAlertmanager) -> None:
    """`amtool check-config` finds no fault, and Alertmanager starts without the webhook's URL."""
    path = CONFIGS / "alertmanager" / "alertmanager.yml"
    assert "SUCCESS" in run(amtool, "check-config", path)
    assert start_alertmanager(path).alerts() == []
