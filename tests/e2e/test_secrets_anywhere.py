"""Whatever the value of an exposed secret, and wherever it stands in a log: it leaves neither live nor at a replay."""

import html
import json
import os
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st
from runnable import context
from runnable.datastore import CodeIdentity, DataCatalog, JsonParameter, MetricParameter, StepAttempt, StepLog

from runlog_otel.core.redaction import MASK, fingerprint_of
from runlog_otel.core.runlogs.json_runlog import run_from_log
from runlog_otel.core.spans import spans_from_run
from runlog_otel.exporters.otlp.encode import json_from_request, request_from_spans
from runlog_otel.exporters.traces.delivery import shared_delivery
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.hosts.kit.secrets import ExposedSecrets
from runlog_otel.hosts.runnable.wrapper import OtelRunLogStore
from runlog_otel.settings import Settings

NAME = "FUZZED_SECRET"
RUN = "r"
_CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from("\"\\'&<>%+/= \n")
_VALUES = st.text(_CHARACTERS, min_size=6, max_size=40).map("Zq{}".format)
_WAYS: tuple[Callable[[str], str], ...] = (
    str,
    quote,
    quote_plus,
    html.escape,
    lambda text: quote(text, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: repr(repr(text)[1:-1])[1:-1],
    lambda text: b64encode(text.encode()).decode(),
)
_SPELLINGS = st.sampled_from(_WAYS)
_AROUND = st.text(st.characters(codec="ascii", exclude_characters="."), max_size=5)
PLACES = ("tag", "branch", "parameter", "value", "nested", "metric", "metric value", "file", "location", "url", "retry")


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A secret, and texts that it stands in, some of them in another spelling."""
    value = draw(_VALUES)
    return value, {place: draw(_AROUND) + draw(_SPELLINGS)(value) + draw(_AROUND) for place in PLACES}


class Graph:
    """As much of the host's graph as tells the names of secrets."""

    def model_dump(self) -> dict[str, Any]:
        """See `runnable.graph.Graph`."""
        return {"nodes": {"a": {"secrets": [NAME]}}}


def recorded(folder: Path, value: str, texts: dict[str, str]) -> tuple[Any, Settings]:
    """A run as an executor records it, with the secret gone from the environment before the first step ends."""
    endpoint = (folder / "spans.jsonl").as_uri()
    telemetry = {"endpoint": endpoint, "parameters": ["*"], "parameter_digests": True, "pipeline": "p"}
    store: Any = OtelRunLogStore(inner={"type": "memory"}, telemetry=telemetry | {"outbox": str(folder / "unsent")})
    store.create_run_log(RUN, status="PROCESSING", tag=texts["tag"])
    with patch.dict(os.environ, {NAME: value}):
        store.set_run_config(RUN, {"pipeline_executor": {"service_name": "local"}, "tag": texts["tag"]})
    path = f"each.{texts['branch']}.work"
    store.add_step_log(StepLog(name="each", internal_name="each", step_type="map", status="PROCESSING"), RUN)
    branch = store.create_branch_log(f"each.{texts['branch']}")
    store.add_branch_log(branch, RUN)
    now = str(datetime.now())  # noqa: DTZ005 naive and local, as the host writes it
    json_value = {texts["nested"]: [texts["value"]]}
    attempt = StepAttempt(
        status="SUCCESS",
        start_time=now,
        end_time=now,
        retry_indicator=texts["retry"],
        input_parameters={texts["parameter"]: JsonParameter(kind="json", value=texts["value"])},
        output_parameters={"out": JsonParameter(kind="json", value=json_value)},
        user_defined_metrics={texts["metric"]: MetricParameter(kind="metric", value=texts["metric value"])},
        code_identities=[
            CodeIdentity(code_identifier="abc", code_identifier_type="git", code_identifier_url=texts["url"])
        ],
    )
    ended = StepAttempt(status="SUCCESS", start_time=now, end_time=now, retry_indicator=texts["retry"])
    item = DataCatalog(name=texts["file"], stage="put", data_hash="0", catalog_relative_path=texts["location"])
    for name, kind, catalog in (("work", "task", [item]), ("success", "success", [])):
        own = path if name == "work" else f"each.{texts['branch']}.success"
        step = StepLog(name=name, internal_name=own, step_type=kind, status="SUCCESS", data_catalog=catalog)
        step.attempts = [attempt if name == "work" else ended]
        store.add_step_log(step, RUN)
    end = StepLog(name="success", internal_name="success", step_type="success", status="SUCCESS")
    end.attempts = [ended]
    store.add_step_log(end, RUN)
    return store.get_run_log_by_id(RUN, full=True), Settings.load(telemetry | {"outbox": str(folder / "unsent")}, {})


def texts_in(part: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield key
            yield from texts_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from texts_in(value)
    elif isinstance(part, str):
        yield part


def spans_in(lines: str) -> dict[str, Any]:
    """The spans of OTLP/JSON lines by their ids."""
    resources = [resource for line in lines.splitlines() for resource in json.loads(line)["resourceSpans"]]
    return {span["spanId"]: span for each in resources for scope in each["scopeSpans"] for span in scope["spans"]}


@settings(max_examples=60, deadline=None)
@given(planted())
def test_an_exposed_secret_leaves_from_nowhere(case: tuple[str, dict[str, str]]) -> None:
    """No text that was sent holds it in any spelling, and a replay that knows no secret sends the same spans."""
    value, texts = case
    context.set_run_context(SimpleNamespace(run_id=RUN, dag=Graph()))
    try:
        with tempfile.TemporaryDirectory() as name:
            run_log, configured = recorded(Path(name), value, texts)
            shared_delivery(configured, Outbox(configured.outbox)).flush()
            live = spans_in((Path(name) / "spans.jsonl").read_text(encoding="utf-8"))
    finally:
        context.set_run_context(None)
    (trace,) = spans_from_run(run_from_log(run_log.model_dump(), configured.pipeline), policy=configured.policy)
    again = spans_in(json_from_request(request_from_spans({}, trace.spans)))
    assert live == again
    spellings = {way(value) for way in _WAYS}
    assert [text for text in texts_in(live) if any(spelling in text for spelling in spellings)] == []


def test_a_secret_that_is_no_text_is_told_as_little() -> None:
    """One that an environment has in another encoding than UTF-8: it breaks nothing, and is masked."""
    value = "s\udcffcret\ud800"
    secrets = ExposedSecrets(cast("Any", SimpleNamespace(secret=lambda _: value)))
    secrets.learn([NAME])
    assert secrets.masked(f"it is {value}") == f"it is {MASK}"
    assert fingerprint_of(value, RUN) in secrets.marks_in([value], RUN)


def test_a_secret_of_many_words_is_masked_wherever_its_lines_were_wrapped() -> None:
    """Rich wraps between words, some programs indent, a group of exceptions has its margin, the host makes commas."""
    secrets = ExposedSecrets(cast("Any", SimpleNamespace(secret=lambda _: "correct horse\nbattery")))
    secrets.learn([NAME])
    assert secrets.masked("it is correct \nhorse\n    battery.") == f"it is {MASK}."
    assert secrets.masked("  | correct horse\n  | battery.") == f"  | {MASK}."
    assert secrets.masked("it is,correct horse,battery,") == f"it is,{MASK},"


def test_a_secret_of_marks_alone_does_not_take_for_ever() -> None:
    """What stands between words may be what the words are made of."""
    secrets = ExposedSecrets(cast("Any", SimpleNamespace(secret=lambda _: ", | , | , | , | x")))
    secrets.learn([NAME])
    assert secrets.masked(", " * 5000) == ", " * 5000
