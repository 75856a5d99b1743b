"""One frozen settings object: plugin config over OTEL_* environment variables over defaults."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from runlog_otel.addresses import base_url, checked_endpoint, signal_url
from runlog_otel.core.redaction import MASK, RedactionPolicy, redacted
from runlog_otel.errors import ConfigError
from runlog_otel.metrics_settings import MaskedModel, MetricsSettings
from runlog_otel.otel_variables import TRACES_ENDPOINT, Setting, header_problem, settings_in

_DAY_SECONDS = 86_400
_GRPC_DEFAULT = "http://localhost:4317"


class Settings(MaskedModel):
    """All settings of runlog-otel: the key `telemetry` of the store's config.

    Sources: the OpenTelemetry specification, "OTLP Exporter Configuration" and "Environment Variable Specification".
    """

    enabled: bool = Field(True, description="false: nothing is sent or remembered. OTEL_SDK_DISABLED=true")
    exporter: str = Field(
        "otlp",
        description="otlp, console, none, or the entry point of an installed SDK span exporter; several with commas. "
        "OTEL_TRACES_EXPORTER",
    )
    protocol: Literal["http/protobuf", "http/json", "grpc"] = Field(
        "http/protobuf", description="OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    endpoint: str = Field(
        "http://localhost:4318",
        description="Where OTLP is sent: http(s)://host:port (/v1/traces is added), or file:///path for OTLP/JSON "
        "lines; for grpc also host:port, dns:///host:port, unix:///path. "
        "OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Sent with each request; never shown. OTEL_EXPORTER_OTLP_HEADERS"
    )
    timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=_DAY_SECONDS,
        description="For one whole request. OTEL_EXPORTER_OTLP_TIMEOUT (in milliseconds, as specified)",
    )
    max_batch_bytes: int = Field(
        1024 * 1024, ge=1, description="Maximum size of a request with spans, before compression"
    )
    compression: Literal["none", "gzip"] = Field("none", description="OTEL_EXPORTER_OTLP_COMPRESSION")
    certificate: Path | None = Field(
        None, description="PEM file to trust instead of the system's. OTEL_EXPORTER_OTLP_CERTIFICATE"
    )
    client_key: Path | None = Field(None, description="PEM file, for mTLS. OTEL_EXPORTER_OTLP_CLIENT_KEY")
    client_certificate: Path | None = Field(
        None, description="PEM file, for mTLS. OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
    )
    insecure: bool = Field(
        False, description="grpc without TLS for an endpoint without http(s)://. OTEL_EXPORTER_OTLP_INSECURE"
    )
    service: str = Field("", description="service.name; else the pipeline's name. OTEL_SERVICE_NAME")
    resource: dict[str, str] = Field(
        default_factory=dict, description="More resource attributes. OTEL_RESOURCE_ATTRIBUTES"
    )
    pipeline: str = Field("", description="The pipeline's name; default: from the host's definition")
    namespace: str = Field("", description="Part of every trace and span id: set it if run ids are reused")
    time_zone: str = Field(
        "", description="IANA name: zone of the naive times in runs without our header; default: the machine's zone"
    )
    parent: Literal["link", "child"] = Field(
        "link",
        description="What a run is to the span that started it (TRACEPARENT): `link`, a trace of its own that links to "
        "it; `child`, a part of its trace, with its sampling decision, tracestate and baggage",
    )
    propagators: tuple[str, ...] = Field(
        ("tracecontext", "baggage"),
        description="Formats in which a run reads its caller's context, and hands on its own to the programs of a "
        "step: tracecontext, baggage, installed ones (b3, b3multi); [] is none. OTEL_PROPAGATORS",
    )
    iteration_names: bool = Field(
        False, description="Whether the spans of a map's or loop's branches are named by their values"
    )
    exceptions: Literal["events", "logs", "logs/dup"] = Field(
        "events",
        description="Exceptions of attempts and runs are events of their spans; `logs`: OTLP log records instead; "
        "`logs/dup`: both. OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
    )
    trigger_user: bool = Field(False, description="Who started a run is recorded with the person's name")
    failure_evidence: bool = Field(
        True,
        description="Why an attempt failed (exception, traceback, exit status, end of stderr) is written into its "
        "message in the log, and so is on its span; false: only the host's own message",
    )
    baggage: bool = Field(False, description="While a step's code runs, the run id is propagated as baggage")
    logs: Literal["none", "failed", "all"] = Field(
        "none",
        description="The output of which attempts is sent as OTLP log records, a line each, under their spans "
        "(/v1/logs, http and grpc)",
    )
    exit_budget_seconds: float = Field(
        2.0,
        ge=0,
        le=_DAY_SECONDS,
        description="How long a process waits for telemetry in total: at exit, in pool workers",
    )
    outbox: Path = Field(
        Path(".runlog-otel/unsent"),
        description="Folder that remembers the runs that were not fully acknowledged",
    )
    metrics: MetricsSettings = Field(default_factory=MetricsSettings, description="Metrics of runs")
    ui: str = Field(
        "",
        description="Where the page of a trace is, for links: the base URL of Jaeger; `PRESET+URL` with jaeger, "
        "tempo-grafana, zipkin, datadog or honeycomb; or a URL with {trace_id}, {span_id}, {start_ms}, {end_ms}",
    )
    redact: tuple[SecretStr, ...] = Field(
        (), description="Regular expressions (Python's); matches are masked in everything that leaves, like secrets"
    )
    parameters: tuple[str, ...] = Field(
        (),
        description="Names of parameters whose values leave, or globs (`train_*`); a name like a secret's "
        "must be listed in full",
    )
    parameter_digests: bool = Field(
        False, description="Export a digest of each parameter's value; short values can be guessed from it"
    )
    sample: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the runs that are sent, decided by the run id; failed executions are always sent",
    )
    sample_slower_than_seconds: float | None = Field(
        None, ge=0, description="Executions that took longer are always sent, regardless of `sample`"
    )

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _ignored: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def load(
        cls,
        config: Mapping[str, Any],
        environ: Mapping[str, str],
        where: str = "telemetry",
        options: Mapping[str, Any] | None = None,
    ) -> "Settings":
        """Merge plugin config and environment; an invalid variable is ignored, as the specification asks.

        Args:
            config: the keys of this model, as the user wrote them.
            environ: the environment variables.
            where: the place of the config, for messages.
            options: what the command line says; wins over the config.

        Raises:
            ConfigError: a key is unknown or a value is wrong.
        """
        options = dict(options or {})
        if options.get("endpoint"):  # an endpoint that is named is used
            options = {"exporter": "otlp", "enabled": True} | options
        variables, ignored = cls._from_environment(environ, config, options)
        sources = {field: one.variable for field, one in variables.items()}
        sources |= dict.fromkeys(config, "config") | dict.fromkeys(options, "command line")
        merged: dict[str, Any] = {field: one.value for field, one in variables.items()}
        resource = config.get("resource")
        if isinstance(resource, Mapping):
            resource = merged.get("resource", {}) | dict(resource)
        merged |= {**config, **({"resource": resource} if resource is not None else {}), **options}
        try:
            settings = cls.model_validate(merged)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join([where, *(str(part) for part in first["loc"])])
            raise ConfigError(place, _problem(error)) from None
        settings._sources.update(sources)
        settings._ignored.extend(ignored)
        return settings

    @classmethod
    def _from_environment(
        cls, environ: Mapping[str, str], config: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[dict[str, Setting], list[str]]:
        """Settings from variables for fields that are not set otherwise, and a sentence for each invalid variable."""
        variables: dict[str, Setting] = {}
        ignored: list[str] = []
        for one in settings_in(environ):
            field = one.field
            if field in variables or (field in config and field != "resource") or field in options:
                continue
            ignored += [f"{one.variable} {problem}" for problem in one.problems]
            if one.problems and not one.value:
                continue
            in_force = {name: other.value for name, other in variables.items()} | {**config, **options}
            beside = {"protocol": in_force["protocol"]} if field == "endpoint" and "protocol" in in_force else {}
            try:
                cls.model_validate({**beside, field: one.value})
            except ValidationError as error:
                ignored.append(f"{one.variable} is ignored: {_problem(error)}")
            else:
                variables[field] = one
        return variables, ignored

    def source(self, field: str) -> str:
        """Where a setting came from: `config`, the name of an environment variable, or `default`."""
        return self._sources.get(field, "default")

    @property
    def exporters(self) -> tuple[str, ...]:
        """The exporters that send something: what `exporter` lists, without `none`."""
        kinds = (kind.strip() for kind in self.exporter.split(","))
        return tuple(kind for kind in kinds if kind and kind.lower() != "none")

    @property
    def is_active(self) -> bool:
        """Whether anything is sent."""
        return self.enabled and bool(self.exporters)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Environment variables that were not understood, a sentence each."""
        return tuple(self._ignored)

    @property
    def zone(self) -> ZoneInfo | None:
        """The configured time zone; None is the machine's."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    @property
    def target(self) -> str:
        """The URL that spans go to: the endpoint, with the path of the traces signal where it belongs."""
        if self.protocol == "grpc":
            return self.endpoint if "endpoint" in self._sources else _GRPC_DEFAULT
        is_whole = self.source("endpoint") == TRACES_ENDPOINT or self.endpoint.startswith("file:")
        return self.endpoint if is_whole or base_url(self.endpoint, "traces") else signal_url(self.endpoint, "traces")

    @property
    def destination(self) -> str:
        """Where spans go, for messages; secrets are masked."""
        if self.exporters != ("otlp",):
            return redacted(self.exporter)
        return self._mask_endpoint(self.target if self.protocol == "grpc" else self.endpoint)

    def target_of(self, signal: str) -> str:
        """The URL that another signal goes to, beside spans; empty where there is none (files, other paths)."""
        if self.protocol == "grpc":
            return self.target
        base = "" if self.target.startswith("file:") else base_url(self.target, "traces")
        return signal_url(base, signal) if base else ""

    def required_target_of(self, signal: Literal["logs", "metrics"]) -> str:
        """The same; raises ConfigError where the exporter, or the endpoint, takes spans only."""
        target = self.target_of(signal)
        if "otlp" not in self.exporters or not target:
            raise ConfigError(
                f"telemetry.{signal}", "needs the exporter otlp, and an endpoint for all signals (not …/v1/traces)"
            )
        return target

    @property
    def policy(self) -> RedactionPolicy:
        """What may be exported."""
        patterns = tuple(pattern.get_secret_value() for pattern in self.redact)
        return RedactionPolicy(self.parameters, self.parameter_digests, patterns)

    @field_serializer("endpoint")
    def _mask_endpoint(self, endpoint: str) -> str:
        url, separator, _ = redacted(endpoint).partition("?")
        if "://" not in url and "@" in url:  # a login without a scheme, which only gRPC takes
            url = f"{MASK}@{url.rpartition('@')[2]}"
        return f"{url}{separator}{MASK if separator else ''}"  # a query may hold a key under any name

    @field_validator("redact")
    @classmethod
    def _check_patterns(cls, patterns: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, pattern in enumerate(patterns, 1):
            if problem := _problem_of_pattern(pattern.get_secret_value()):
                raise ValueError(f"pattern {number} is no regular expression: {problem}")
        return patterns

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for number, (name, value) in enumerate(headers.items(), 1):
            if problem := header_problem(name, value.get_secret_value()):
                raise ValueError(f"header {number} cannot be sent: {problem}")
        return headers

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: str, info: ValidationInfo) -> str:
        return checked_endpoint(endpoint, info.data.get("protocol", ""))

    @field_validator("exporter")
    @classmethod
    def _check_exporter(cls, exporter: str) -> str:
        if not exporter.replace(",", " ").strip():
            raise ValueError("must name an exporter: otlp, console, none or an installed one")
        return exporter

    @field_validator("logs", mode="before")
    @classmethod
    def _check_logs(cls, logs: Any) -> Any:
        if isinstance(logs, bool):  # as YAML reads `no`, too
            raise ValueError(f"must be none, failed or all, not {str(logs).lower()}")
        return logs

    @field_validator("ui")
    @classmethod
    def _check_ui(cls, ui: str) -> str:
        if ui:
            from runlog_otel.core.links import problem_of_ui  # not in the process of every step

            if problem := problem_of_ui(ui):
                raise ValueError(problem)
        return ui

    @field_validator("time_zone")
    @classmethod
    def _check_zone(cls, time_zone: str) -> str:
        try:
            if time_zone:
                ZoneInfo(time_zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from None
        return time_zone


def _problem_of_pattern(pattern: str) -> str:
    """What is wrong with a regular expression, without showing any of it."""
    try:
        re.compile(pattern)
    except re.error as error:
        return f"wrong at character {(error.pos or 0) + 1}"
    except (OverflowError, RecursionError):
        return "too large"
    return ""


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, without the value that was given."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        model = MetricsSettings if first["loc"][:1] == ("metrics",) else Settings
        return f"unknown key; known are {', '.join(sorted(model.model_fields))}"
    if first["type"] == "tuple_type":
        return "must be a list"
    return first["msg"].removeprefix("Value error, ")
