"""From a step that fails in a real pipeline to a webhook that is told of it."""

from pathlib import Path

from runlog_otel.core import identity
from tests.e2e.serving import Serve
from tests.hosts.project import LOCAL, Project
from tests.peers.alertmanager import Webhook
from tests.peers.fixtures import StartAlertmanager, StartPrometheus
from tests.peers.process import wait_until
from tests.stack.alerting import JAEGER_UI, alertmanager_with, hurried_prometheus


def test_a_step_that_fails_for_the_first_time_reaches_the_webhook(
    tmp_path: Path,
    serve: Serve,
    start_prometheus: StartPrometheus,
    start_alertmanager: StartAlertmanager,
    webhook: Webhook,
) -> None:
    """Pipeline, step, error and a link to that run's trace arrive; the run's own alert is inhibited."""
    folders = {name: tmp_path / name for name in ("prometheus", "alertmanager")}
    for folder in folders.values():
        folder.mkdir()
    project = Project(tmp_path, "file-system", LOCAL, {"endpoint": f"file://{tmp_path}/spans"})
    serve.start()
    alertmanager = start_alertmanager(alertmanager_with(folders["alertmanager"], webhook.url))
    prometheus = start_prometheus(
        hurried_prometheus(folders["prometheus"], {"runlog-otel": serve.address}, alertmanager.address)
    )
    prometheus.wait_for("runlog_exporter_last_poll_timestamp_seconds")
    assert prometheus.query('{__name__=~"runlog_step_.*"}') == []

    project.run("failing_python", "swift-heron-0815")

    told = webhook.wait_for("RunlogStepFailed")
    trace_id = identity.trace_id("", "swift-heron-0815", 1).hex()
    assert told["labels"] == {
        "alertname": "RunlogStepFailed",
        "severity": "warning",
        "kind": "event",
        "cicd_pipeline_name": "failing_python.main",
        "cicd_pipeline_task_name": "explode",
    }
    assert told["annotations"] == {
        "summary": "Step explode of failing_python.main failed",
        "description": 'Shows the latest failure; the dashboard "Pipeline" has the others.',
        "pipeline": "failing_python.main",
        "step": "explode",
        "error": "ValueError",
        "message": "no more rows",
        "trace": f"{JAEGER_UI}/trace/{trace_id}",
    }
    assert wait_until(lambda: len(alertmanager.alerts()) > 1)
    inhibited = {alert["labels"]["alertname"]: bool(alert["status"]["inhibitedBy"]) for alert in alertmanager.alerts()}
    assert inhibited == {"RunlogStepFailed": False, "RunlogRunFailed": True}
    assert webhook.alerts("RunlogRunFailed") == []
