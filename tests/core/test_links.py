"""Pages of traces: presets, templates, and what a wrong value of the setting says."""

import json
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from runlog_otel.core.links import PRESETS, trace_url
from runlog_otel.errors import ConfigError
from runlog_otel.settings import Settings

TRACE, SPAN = bytes(range(16)), bytes(range(8, 16))
INTERVAL = (1_700_000_000_123_456_789, 1_700_000_003_000_000_001)
T, S = TRACE.hex(), SPAN.hex()


@pytest.mark.parametrize(
    ("ui", "of_trace", "of_span"),
    [
        ("", "", ""),
        ("http://jaeger:16686/", f"http://jaeger:16686/trace/{T}", f"http://jaeger:16686/trace/{T}?uiFind={S}"),
        ("jaeger+https://j/base", f"https://j/base/trace/{T}", f"https://j/base/trace/{T}?uiFind={S}"),
        ("zipkin+http://z:9411", f"http://z:9411/zipkin/traces/{T}", f"http://z:9411/zipkin/traces/{T}"),
        (
            "datadog+https://app.datadoghq.eu",
            f"https://app.datadoghq.eu/apm/trace/{T}",
            f"https://app.datadoghq.eu/apm/trace/{T}?spanID={int(S, 16)}",
        ),
        (
            "honeycomb+https://ui.honeycomb.io/team/environments/prod",
            f"https://ui.honeycomb.io/team/environments/prod/trace?trace_id={T}"
            "&trace_start_ts=1700000000&trace_end_ts=1700000004",
            f"https://ui.honeycomb.io/team/environments/prod/trace?trace_id={T}&span={S}"
            "&trace_start_ts=1700000000&trace_end_ts=1700000004",
        ),
        (
            "https://own/{trace_id}/{start_ms}-{end_ms}?at={span_id}&view=full",
            f"https://own/{T}/1700000000123-1700000003001?view=full",
            f"https://own/{T}/1700000000123-1700000003001?at={S}&view=full",
        ),
    ],
)
def test_a_trace_and_a_span_have_pages(ui: str, of_trace: str, of_span: str) -> None:
    """Parts of the query that have no value are left out."""
    assert trace_url(ui, TRACE, interval=INTERVAL) == of_trace
    assert trace_url(ui, TRACE, SPAN, INTERVAL) == of_span


def test_grafana_gets_the_trace_and_its_time() -> None:
    """Explore reads one pane as JSON."""
    parts = urlsplit(trace_url("tempo-grafana+http://grafana:3000/", TRACE, SPAN, INTERVAL))
    assert (parts.netloc, parts.path) == ("grafana:3000", "/explore")
    (pane,) = json.loads(parse_qs(parts.query)["panes"][0]).values()
    assert pane["queries"] == [{"refId": "A", "queryType": "traceql", "query": T}]
    assert pane["range"] == {"from": "1700000000123", "to": "1700000003001"}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_accepted(preset: str) -> None:
    """Before a base URL."""
    assert Settings.load({"ui": f"{preset}+https://host/base"}, {}).ui == f"{preset}+https://host/base"


@pytest.mark.parametrize(
    ("ui", "problem"),
    [
        ("javascript:alert(1)//{trace_id}", "must be http(s)://"),
        ("jaeger:16686", "must be http(s)://"),
        ("grafana+http://g", "must be http(s)://"),
        ("http://own/{trace_id}/{span}", "has no {span}; known are {trace_id}, {span_id}"),
    ],
)
def test_a_wrong_value_says_what_is_wrong(ui: str, problem: str) -> None:
    """A link that leads nowhere, or runs code, is never made."""
    with pytest.raises(ConfigError, match=r"telemetry\.ui") as caught:
        Settings.load({"ui": ui}, os.environ)
    assert problem in str(caught.value)
