"""What the code of a real run says of itself is in a real Jaeger, and a replay elsewhere adds nothing."""

import secrets
from pathlib import Path

from runlog_otel.core import identity
from tests.e2e.told import told_by_jaeger
from tests.hosts.project import PARALLEL, Project
from tests.hosts.test_annotations import SAID
from tests.peers.collector import Collector
from tests.peers.jaeger import Jaeger

SPANS = 22
"""Run and start, 9 steps, 4 branches, 7 attempts."""


def test_what_code_says_is_in_jaeger(tmp_path: Path, jaeger: Jaeger, collector: Collector) -> None:
    """Annotations are tags of the attempts, events their logs: in order, the reason of a failure last."""
    project = Project(tmp_path, "chunked-fs", PARALLEL, {"endpoint": collector.otlp_http})
    run_id = secrets.token_hex(4)
    assert project.run("annotated", run_id).returncode != 0
    trace_id = identity.trace_id("", run_id, 1).hex()
    told = told_by_jaeger(jaeger.wait_for_trace(trace_id, spans=SPANS))
    said = {span.tags["runlog.step.path"][1]: span for span in told.spans.values() if "said" in span.tags}
    assert {path: span.tags["said"][1] for path, span in said.items()} == SAID
    assert said["load"].tags["rows"] == ("int64", 123)
    assert [values["event"] for _, values in said["load"].events] == ["checkpoint"]
    assert [values["exception.message"] for _, values in said["last"].events] == ["handled", "the reason"]
    project.export("--all", TZ="Asia/Tokyo").succeeded()
    assert told_by_jaeger(jaeger.wait_for_trace(trace_id, spans=SPANS)) == told
