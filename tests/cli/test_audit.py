"""`runlog-otel audit`: all that leaves of a run, and names and counts of what does not."""

import json
from pathlib import Path

import pytest

from runlog_otel.exporters.traces.outbox import Outbox
from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS
from tests.exporters.spans import backend

CONFIG = """\
run-log-store:
  type: otel
  config:
    inner: {{type: file-system, config: {{log_folder: .run_log_store}}}}
    telemetry: {telemetry}
"""


def configure(project: Path, **telemetry: object) -> None:
    """Give the project other settings."""
    text = CONFIG.format(telemetry=json.dumps(telemetry))
    (project / "runnable-config.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", RUNS)
def test_an_audit_prints_what_an_export_sends(command: Command, project: Path, name: str) -> None:
    """Status, attributes, events and links of every span, and the resource, as a backend got them."""
    with backend() as server:
        configure(project, endpoint=server.url, protocol="http/json", parameters=["*"], resource={"team": "a"})
        assert command("export", RUNS[name]).status == 0
        bodies = [json.loads(body) for _, _, body in server.requests]
    resources = [resource for body in bodies for resource in body["resourceSpans"]]
    sent = {
        span["spanId"]: (
            span["name"],
            attributes(span["attributes"]),
            span.get("status", {}).get("message"),
            [(event["name"], attributes(event["attributes"])) for event in span.get("events", ())],
            [(link["traceId"], link["spanId"], attributes(link["attributes"])) for link in span.get("links", ())],
            attributes(resource["resource"]["attributes"]),
        )
        for resource in resources
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }
    document = json.loads(command("audit", RUNS[name], "--json").out)
    told = {
        span["span_id"]: (
            span["name"],
            span["attributes"],
            span["error"],
            [(event["name"], event["attributes"]) for event in span["events"]],
            [(link["trace_id"], link["span_id"], link["attributes"]) for link in span["links"]],
            execution["resource"],
        )
        for execution in document["executions"]
        for span in execution["spans"]
    }
    assert told == sent


def attributes(given: list[dict[str, dict[str, object]]]) -> dict[object, object]:
    """Attributes of OTLP/JSON as plain values."""
    return {each["key"]: plain(each["value"]) for each in given}


def plain(value: dict[str, object]) -> object:
    """A value of OTLP/JSON."""
    ((kind, found),) = value.items()
    if kind == "arrayValue":
        return [plain(item) for item in found["values"]]  # type: ignore[index]
    return int(str(found)) if kind == "intValue" else found


def test_what_is_held_back_is_named_and_not_shown(command: Command, project: Path) -> None:
    """Parameters that are not listed, by name and count; what was masked, by its rule and place; what was cut."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    attempt = log["steps"]["load orders"]["attempts"][0]
    attempt["user_defined_metrics"] = {
        f"m{number:03}": {"kind": "metric", "value": number, "description": number} for number in range(70)
    }
    stack = "Traceback (most recent call last):\n" + "  a frame\n" * 700 + "ValueError: it"
    log["steps"]["publish"]["attempts"][0]["message"] = f"ValueError: password=canary {'x' * 3000}\n\n{stack}"
    log["tag"] = "customer 17"
    (project / ".run_log_store" / "it.json").write_text(json.dumps(log | {"run_id": "it"}))
    configure(project, endpoint="http://127.0.0.1:9", parameters=["orders"], redact=["customer \\d+"])
    shown = command("audit", "it")
    assert (shown.status, shown.err) == (0, "")
    held = shown.out.partition("held back\n")[2].splitlines()
    seen = json.dumps(log["steps"]).count('"regions": {"kind"')
    assert f'  values of the parameter "regions": {seen}' in held
    assert [line for line in held if "orders" in line and "values of" in line] == []
    assert '  masked (pattern 1 of telemetry.redact) in runlog.run.tag of "RUN pipeline.main": 1' in held
    assert '  masked (assignment) in exception.message of "publish attempt": 1' in held
    for where in ("exception.message", "exception.stacktrace", "status"):
        assert f'  cut: {where} of "publish attempt": 1' in held
    assert '  cut: attributes of "load orders attempt": 6' in held
    assert "  runlog.parameter.output.orders = 1200" in shown.out.splitlines()
    assert "canary" not in shown.out
    assert "customer 17" not in shown.out
    assert "north" not in "".join(line for line in held if "regions" in line)


def test_a_run_that_is_not_sampled_says_so(command: Command, project: Path) -> None:
    """What would leave is printed, and that it does not by itself."""
    configure(project, endpoint="http://127.0.0.1:9", sample=0)
    lines = command("audit", RUNS["demo"]).out.splitlines()
    assert lines[0].endswith(": is not sent by itself: not sampled, or telemetry is off")
    assert any(line.startswith('span "RUN pipeline.main"') for line in lines)


def test_what_leaves_beside_spans_is_named(command: Command, project: Path) -> None:
    """An execution log is not kept in the run log, so it cannot be shown."""
    configure(project, endpoint="http://127.0.0.1:9", logs="all", metrics={"push": True})
    found = command("audit", RUNS["demo"]).out.partition("beside spans, while it runs\n")[2].splitlines()[:3]
    assert [line.partition(":")[0] for line in found] == ["  telemetry.logs", "  telemetry.metrics.push", "held back"]
    configure(project, endpoint="http://127.0.0.1:9")
    assert "beside spans" not in command("audit", RUNS["demo"]).out


def test_a_run_that_is_remembered_as_abandoned_is_told_as_it_is_exported(command: Command, project: Path) -> None:
    """With the spans that close it."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    log["steps"] = {name: step for name, step in log["steps"].items() if name == "load orders"}
    (project / ".run_log_store" / "it.json").write_text(json.dumps(log | {"run_id": "it", "status": "PROCESSING"}))
    spans = {}
    for is_abandoned in (False, True):
        Outbox(project / ".runlog-otel" / "unsent").add("it", "killed", is_abandoned=is_abandoned)
        (execution,) = json.loads(command("audit", "it", "--json").out)["executions"]
        (exported,) = json.loads(command("export", "it", "--dry-run", "--json").out)["runs"]
        spans[is_abandoned] = len(execution["spans"])
        assert (execution["is_complete"], len(execution["spans"])) == (is_abandoned, exported["spans"])
    assert spans[True] > spans[False]
