"""The backends that are asked for a trace: Jaeger by its API v3, Tempo by its HTTP API."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from runlog_otel.core.span_diff import Loss, StoredSpan
from runlog_otel.verification.otlp_json import spans_from_otlp
from runlog_otel.verification.query_client import NOT_FOUND, QueryClient

_PARTIAL = ("PARTIAL", 1)


class StoredTrace(NamedTuple):
    """All spans of a trace that a backend returns, and why they may not be all that it has."""

    spans: list[StoredSpan]
    note: str = ""


class TraceBackend(ABC):
    """A backend that has traces."""

    name: ClassVar[str]
    losses: ClassVar[tuple[Loss, ...]] = ()
    """What it does not keep as it was sent."""

    def __init__(self, client: QueryClient) -> None:
        self.client = client

    @abstractmethod
    def check(self) -> None:
        """Ask whether the server is such a backend: a page that does not exist would look like a missing trace.

        Raises:
            ConfigError: it is not.
            BackendError: there is no answer, or one with another status.
        """

    @abstractmethod
    def trace(self, trace_id: bytes) -> StoredTrace:
        """The spans of a trace; none if the backend has no such trace.

        Raises:
            BackendError: it does not answer as it should.
        """


class Jaeger(TraceBackend):
    """Jaeger's query API.

    Source: jaeger, `cmd/query/app/apiv3/http_gateway.go`: OTLP/JSON below `result`. With `raw_traces` it returns what
    it has: it does not shift clocks, and does not drop duplicates.
    """

    name = "jaeger"
    losses = tuple(Loss)

    @override
    def check(self) -> None:
        path = "/api/v3/services"
        services = self.client.document(path)
        if not isinstance(services, dict) or services.keys() - {"services"}:
            raise self.client.no_backend(path, "Jaeger, as http://HOST:16686 is")

    @override
    def trace(self, trace_id: bytes) -> StoredTrace:
        answer = self.client.get(f"/api/v3/traces/{trace_id.hex()}?raw_traces=true")
        return StoredTrace([] if answer.status == NOT_FOUND else self.client.parsed(answer, _spans_of_results))


def _spans_of_results(body: bytes) -> list[StoredSpan]:
    """The spans of one document, or of several, a line each, as gRPC gateways stream them."""
    spans: list[StoredSpan] = []
    for document in filter(None, body.splitlines()):
        result = _object(document).get("result")
        if not isinstance(result, dict):
            raise ValueError("it has no `result`")
        spans += spans_from_otlp(result.get("resourceSpans", []))
    return spans


class Tempo(TraceBackend):
    """Tempo's query API.

    Source: Tempo's documentation, "Tempo HTTP API", "Query V2" and "Query": OTLP/JSON with ids in base64, below `trace`
    in version 2, which also says whether the trace is whole. A server without version 2 is asked for version 1.
    """

    name = "tempo"

    @override
    def check(self) -> None:
        path = "/api/echo"
        if self.client.get(path).body.strip() != b"echo":
            raise self.client.no_backend(path, "Tempo, as http://HOST:3200 is")

    @override
    def trace(self, trace_id: bytes) -> StoredTrace:
        for path, parse in (("/api/v2/traces", _stored_by_tempo), ("/api/traces", _stored_by_tempo_1)):
            answer = self.client.get(f"{path}/{trace_id.hex()}")
            if answer.status != NOT_FOUND:
                stored: StoredTrace = self.client.parsed(answer, parse)
                return stored
        return StoredTrace([])


def _stored_by_tempo(body: bytes) -> StoredTrace:
    document = _object(body)
    is_partial = document.get("status") in _PARTIAL
    note = str(document.get("message") or "it returns a part of the trace") if is_partial else ""
    return StoredTrace(_spans_by_tempo(document.get("trace") or {}), note)


def _stored_by_tempo_1(body: bytes) -> StoredTrace:
    return StoredTrace(_spans_by_tempo(_object(body)))


def _spans_by_tempo(trace: Mapping[str, Any]) -> list[StoredSpan]:
    return list(spans_from_otlp(trace.get("resourceSpans") or trace.get("batches") or []))


def _object(body: bytes) -> Mapping[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    return document
