"""Our encoding is the stock encoder's, and the same in every process."""

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runlog_otel.core.model import Header
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Event
from runlog_otel.exporters.otlp.encode import double, json_from_request, request_from_spans
from runlog_otel.exporters.traces.sdk import sdk_spans
from tests.core.logs import at, attempt, run, task, verdict
from tests.exporters.spans import RESOURCE, spans_of_every_kind


def test_it_equals_the_stock_encoder() -> None:
    """Byte for byte what the SDK's exporter would send for the same spans."""
    spans = spans_of_every_kind()
    assert request_from_spans(RESOURCE, spans).SerializeToString() == (
        encode_spans(sdk_spans(RESOURCE, spans)).SerializeToString()
    )


def test_a_part_of_the_callers_trace_is_what_the_stock_encoder_would_write() -> None:
    """The parent of its root is remote, and the tracestate is the caller's."""
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    header = Header(at(0), 0, caller, is_child=True, tracestate="a=1")
    (trace,) = spans_from_run(run(task("a", attempt(1, 2)), verdict("success", 3), header=header))
    assert request_from_spans(RESOURCE, trace.spans).SerializeToString() == (
        encode_spans(sdk_spans(RESOURCE, trace.spans)).SerializeToString()
    )


def test_two_processes_encode_alike() -> None:
    """Another process, hash seed and time zone give equal bytes."""
    code = (
        "import hashlib\n"
        "from runlog_otel.exporters.otlp.encode import request_from_spans\n"
        "from tests.exporters.spans import RESOURCE, spans_of_every_kind\n"
        "print(hashlib.sha256(request_from_spans(RESOURCE, spans_of_every_kind()).SerializeToString()).hexdigest())"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Pacific/Apia"}
    other = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    here = request_from_spans(RESOURCE, spans_of_every_kind()).SerializeToString()
    assert other.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_json_is_otlp_json() -> None:
    """Ids are hexadecimal and enumerations are numbers; the rest is protobuf's JSON."""
    request = request_from_spans(RESOURCE, spans_of_every_kind())
    text = json_from_request(request)
    document = json.loads(text)
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    originals = request.resource_spans[0].scope_spans[0].spans
    assert [span["spanId"] for span in spans] == [span.span_id.hex() for span in originals]
    assert spans[0]["links"][0]["traceId"] == originals[0].links[0].trace_id.hex()
    assert (spans[0]["kind"], spans[0]["status"]["code"]) == (2, 2)
    assert "\n" not in text
    for span in [*spans, *spans[0]["links"]]:
        for key in ("traceId", "spanId", "parentSpanId"):
            span.pop(key, None)
    stripped = ExportTraceServiceRequest.FromString(request.SerializeToString())
    for span in stripped.resource_spans[0].scope_spans[0].spans:
        for message in [span, *span.links]:
            for name in ("trace_id", "span_id", "parent_span_id"):
                if name in message.DESCRIPTOR.fields_by_name:
                    message.ClearField(name)
    assert Parse(json.dumps(document), ExportTraceServiceRequest()) == stripped


@given(st.integers(), st.integers(), st.integers())
def test_numbers_are_clamped_to_what_the_wire_can_have(start_ns: int, end_ns: int, value: int) -> None:
    """Times before 1970 and after 2554, and whole numbers of more than 64 bits, cost no span its place."""
    (first, *_) = spans_of_every_kind()
    event = Event("e", start_ns, {"value": value})
    odd = replace(first, start_ns=start_ns, end_ns=end_ns, attributes={"value": value}, events=(event,))
    request = request_from_spans(RESOURCE, [odd])
    (span,) = request.resource_spans[0].scope_spans[0].spans
    start, end = (min(max(ns, 0), 2**64 - 1) for ns in (start_ns, end_ns))
    clamped = min(max(value, -(2**63)), 2**63 - 1)
    assert (span.start_time_unix_nano, span.end_time_unix_nano, span.events[0].time_unix_nano) == (start, end, start)
    assert [a.value.int_value for a in (*span.attributes, *span.events[0].attributes)] == [clamped, clamped]
    assert json.loads(json_from_request(request))
    assert request.SerializeToString() == encode_spans(sdk_spans(RESOURCE, [odd])).SerializeToString()


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(10**400, sys.float_info.max), (-(10**400), -sys.float_info.max), (7, 7.0), (0.5, 0.5), (math.inf, math.inf)],
)
def test_a_whole_number_may_be_larger_than_any_float(value: float, encoded: float) -> None:
    """Then the largest float is sent."""
    assert double(value) == encoded
