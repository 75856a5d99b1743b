"""Plugin config over OTEL_* environment over defaults."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from runlog_otel.errors import ConfigError
from runlog_otel.mapping import resource_attributes
from runlog_otel.metrics_settings import MetricsSettings
from runlog_otel.settings import Settings


def loaded(environ: dict[str, str], **config: object) -> Settings:
    return Settings.load(config, environ)


def test_without_any_setting_the_specification_s_defaults_hold() -> None:
    """OTLP over HTTP to the collector on this machine, ten seconds."""
    settings = loaded({})
    assert (settings.target, settings.protocol, settings.timeout_seconds, settings.compression) == (
        "http://localhost:4318/v1/traces",
        "http/protobuf",
        10.0,
        "none",
    )


def test_every_variable_has_its_standard_meaning() -> None:
    """General variables, as the OTLP exporter specification lists them."""
    settings = loaded(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318/base/",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc,x-tenant=a%2Cb",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/cert.pem",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_SERVICE_NAME": "etl",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment.environment.name=prod",
            "OTEL_TRACES_EXPORTER": "console",
        }
    )
    assert settings.target == "https://collector:4318/base/v1/traces"
    assert {key: value.get_secret_value() for key, value in settings.headers.items()} == {
        "authorization": "Basic abc",
        "x-tenant": "a,b",
    }
    assert (settings.timeout_seconds, settings.compression, settings.protocol) == (2.5, "gzip", "http/json")
    assert (settings.certificate, settings.client_key, settings.client_certificate) == (
        Path("/ca.pem"),
        Path("/key.pem"),
        Path("/cert.pem"),
    )
    assert resource_attributes("train", settings) == {"service.name": "etl", "deployment.environment.name": "prod"}
    assert settings.exporter == "console"


@pytest.mark.parametrize(
    ("raw", "propagators"),
    [
        ("", ("tracecontext", "baggage")),
        ("b3, TraceContext,b3", ("b3", "tracecontext")),
        ("none", ()),
        ("tracecontext,none", ()),
    ],
)
def test_propagators_are_a_list_without_repetitions(raw: str, propagators: tuple[str, ...]) -> None:
    """`none` switches all of them off, as in the SDK."""
    assert loaded({"OTEL_PROPAGATORS": raw}).propagators == propagators
    assert loaded({"OTEL_PROPAGATORS": raw}, propagators=["b3multi"]).propagators == ("b3multi",)


def test_a_variable_for_traces_wins_and_its_endpoint_is_the_whole_url() -> None:
    """Nothing is added to OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."""
    settings = loaded(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://general:4318",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:1/in",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none",
        }
    )
    assert (settings.target, settings.compression) == ("http://traces:1/in", "none")


def test_config_wins_over_environment() -> None:
    """And says where each came from."""
    settings = loaded(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:1", "OTEL_SERVICE_NAME": "env"}, endpoint="http://cfg:2"
    )
    assert (settings.target, settings.service) == ("http://cfg:2/v1/traces", "env")
    assert [settings.source(field) for field in ("endpoint", "service", "ui")] == [
        "config",
        "OTEL_SERVICE_NAME",
        "default",
    ]


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_for_logs_says_what_to_write(value: bool) -> None:
    """YAML reads `no` as one, too."""
    with pytest.raises(ConfigError) as error:
        loaded({}, logs=value)
    assert str(error.value) == f"telemetry.logs: must be none, failed or all, not {str(value).lower()}"


def test_the_command_line_wins_over_config() -> None:
    """`--endpoint` is for this call."""
    settings = Settings.load({"endpoint": "http://cfg:2"}, {}, options={"endpoint": "http://cli:3"})
    assert (settings.target, settings.source("endpoint")) == ("http://cli:3/v1/traces", "command line")


@pytest.mark.parametrize(
    ("environ", "config", "service"),
    [
        ({}, {}, "train"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=res"}, {}, "res"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=res", "OTEL_SERVICE_NAME": "env"}, {}, "env"),
        ({"OTEL_SERVICE_NAME": "env"}, {"service": "set"}, "set"),
    ],
)
def test_the_service_is_the_setting_else_the_environment_else_the_pipeline(
    environ: dict[str, str], config: dict[str, object], service: str
) -> None:
    """service.name is never missing."""
    assert resource_attributes("train", loaded(environ, **config))["service.name"] == service


def test_grpc_goes_to_its_own_port_by_default() -> None:
    """The specification's default for gRPC."""
    assert loaded({}, protocol="grpc").target == "http://localhost:4317"


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
def test_a_disabled_sdk_sends_nothing(value: str) -> None:
    """OTEL_SDK_DISABLED holds for this project too."""
    assert loaded({"OTEL_SDK_DISABLED": value}).is_active is False


def test_the_exporter_none_sends_nothing() -> None:
    """OTEL_TRACES_EXPORTER=none is not an error."""
    assert loaded({"OTEL_TRACES_EXPORTER": "none"}).is_active is False


def test_a_variable_that_is_not_understood_is_ignored_and_told() -> None:
    """A pipeline does not fail for a variable that was meant for another program."""
    settings = loaded({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"})
    assert (settings.timeout_seconds, settings.protocol) == (10.0, "http/protobuf")
    assert [text.partition(" ")[0] for text in settings.ignored] == [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
    ]


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"endpont": "http://x"}, "telemetry.endpont: unknown key; known are "),
        ({"timeout_seconds": "canary-secret"}, "telemetry.timeout_seconds: Input should be a valid number"),
        ({"headers": "canary-secret"}, "telemetry.headers: Input should be a valid dictionary"),
        ({"endpoint": "ftp://canary-secret@x"}, "telemetry.endpoint: must be http://host:port, https://host:port or"),
        ({"parameters": "canary-secret"}, "telemetry.parameters: must be a list"),
        ({"time_zone": "Mars/Base"}, "telemetry.time_zone: must be an IANA time zone"),
        ({"protocol": "http"}, "telemetry.protocol: Input should be"),
    ],
)
def test_a_wrong_setting_is_one_line_without_its_value(config: dict[str, object], where: str) -> None:
    """It says what is wrong and where; a value may be a secret."""
    with pytest.raises(ConfigError) as caught:
        loaded({}, **config)
    text = str(caught.value)
    assert text.startswith(where)
    assert "\n" not in text
    assert "canary" not in text


def test_secrets_are_shown_nowhere() -> None:
    """Headers and credentials in the endpoint are masked in repr, str and dumps."""
    settings = loaded({}, headers={"authorization": "canary"}, endpoint="http://me:canary@collector:4318")
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


_TOKEN = "ghp_canary0canary1canary2canary3canary4"


@pytest.mark.parametrize(
    "value",
    [_TOKEN, SecretStr("canary"), Path(f"/run/{_TOKEN}"), {_TOKEN: _TOKEN}, {"api_key": "canary"}, (_TOKEN,)],
)
@pytest.mark.parametrize("model", [Settings, MetricsSettings])
def test_a_field_is_masked_unless_it_opts_out(model: type[BaseModel], value: object) -> None:
    """Whatever its type, and a field that is added later, too."""
    masks_itself = {"endpoint", "metrics"}
    fields = dict.fromkeys(set(model.model_fields) - masks_itself, value)
    settings = model.model_construct(set(fields), **{"endpoint": _TOKEN, "metrics": None} | fields)
    for field in fields:
        assert "canary" not in str(settings.model_dump()[field]), field
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_show_no_secret() -> None:
    """Whatever setting somebody puts one into: patterns may be secrets themselves, and names may hold tokens."""
    token = _TOKEN
    settings = loaded(
        {},
        redact=["canary of a pattern"],
        service=token,
        resource={"api_key": "canary", "x": token},
        ui=f"http://a:{token}@b",
    )
    assert "canary" not in repr(settings)
    assert "canary" not in settings.model_dump_json()
    assert resource_attributes("p", settings) == {"service.name": "********", "api_key": "********", "x": "********"}
    assert settings.policy.patterns == ("canary of a pattern",)


@pytest.mark.parametrize(
    ("endpoint", "target", "logs"),
    [
        ("http://h:1/otlp?api-key=k", "http://h:1/otlp/v1/traces?api-key=k", "http://h:1/otlp/v1/logs?api-key=k"),
        ("http://h:1/v1/traces?k=v", "http://h:1/v1/traces?k=v", "http://h:1/v1/logs?k=v"),
        ("http://h:1/otlp/#part", "http://h:1/otlp/v1/traces", "http://h:1/otlp/v1/logs"),
        ("HTTPS://Host:1", "https://Host:1/v1/traces", "https://Host:1/v1/logs"),
        ("http://[::1]:4318/", "http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/logs"),
        ("FILE:///a/b.jsonl", "file:///a/b.jsonl", ""),
        (" http://h:1 ", "http://h:1/v1/traces", "http://h:1/v1/logs"),
    ],
)
def test_the_path_of_the_signal_is_added_to_the_path_of_the_endpoint(endpoint: str, target: str, logs: str) -> None:
    """A query stays a query, and the scheme is read in any case."""
    settings = loaded({}, endpoint=endpoint)
    assert (settings.target, settings.target_of("logs")) == (target, logs)


@pytest.mark.parametrize(
    "endpoint",
    [
        "collector:4318",
        "collector",
        "unix:///x",
        "dns:///h:1",
        "http://",
        "http://h:port",
        "http://[::1",
        "http://h:99999",
        "file://",
        "file://host/x",
        "grpc://h:1",
        "http://a b",
        "http://höst",
        " ",
    ],
)
def test_an_endpoint_that_http_cannot_reach_is_refused(endpoint: str) -> None:
    """In one line, before anything is sent."""
    with pytest.raises(ConfigError, match=r"^telemetry\.endpoint: must [^\n]+$"):
        loaded({}, endpoint=endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "collector:4317",
        "collector",
        "[::1]:4317",
        "unix:///x",
        "unix:x",
        "unix-abstract:x",
        "dns:///h:1",
        "http://h:1",
        "https://h",
        "ipv4:1.2.3.4:5",
    ],
)
def test_grpc_takes_its_own_names_too(endpoint: str) -> None:
    """As the specification asks: whatever the gRPC library understands."""
    assert loaded({}, endpoint=endpoint, protocol="grpc").target == endpoint


@pytest.mark.parametrize("endpoint", ["unix:", "dns:///", "ftp://h:1", "h:port", "h:1/v1/traces", "", "grpc://h:1"])
def test_an_endpoint_that_grpc_cannot_reach_is_refused(endpoint: str) -> None:
    """Never a silent localhost."""
    with pytest.raises(ConfigError, match=r"^telemetry\.endpoint: must [^\n]+$"):
        loaded({}, endpoint=endpoint, protocol="grpc")


def test_a_variable_that_is_wrong_lets_the_next_one_hold() -> None:
    """An endpoint must fit the protocol that is in force, wherever that was set."""
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "traces:4317",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://general:4318",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "inf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "500",
    }
    settings = loaded(environ)
    assert (settings.target, settings.timeout_seconds) == ("http://general:4318/v1/traces", 0.5)
    assert settings.source("endpoint") == "OTEL_EXPORTER_OTLP_ENDPOINT"
    assert settings.ignored == (
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is ignored: Input should be less than or equal to 86400",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is ignored: must be http://host:port, https://host:port or file:///path",
    )
    for grpc in ({"protocol": "grpc"}, {}):
        settings = loaded(environ | ({} if grpc else {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}), **grpc)
        assert (settings.target, len(settings.ignored)) == ("traces:4317", 1)


_NAME = "its name must be letters, digits and hyphens; write name=value, not name: value"
_VALUE = "its value must be printable ASCII in one line"
_PERCENT = "a '%' must be followed by two hexadecimal digits; write %25 for the sign itself"
_NO_EQUALS = "has no '='; write name=value, not name: value"


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ("Authorization: Bearer canary", _NO_EQUALS),
        ("Authorization: Bearer canary==", _NAME),
        ("canary", _NO_EQUALS),
        ("=canary", _NO_EQUALS),
        ("a=canary%ZZ", _PERCENT),
        ("a=canary%", _PERCENT),
        ("a=canary%FF", "what is percent-encoded must be UTF-8"),
        ("a=canary%C3%A9", _VALUE),
        ("a=canaryé", _VALUE),
        ("a=canary%0D%0AX: y", _VALUE),
        ("a b=canary", _NAME),
    ],
)
def test_a_header_that_is_none_is_ignored_and_told(pair: str, problem: str) -> None:
    """What was expected is said, no secret is, and the other headers are sent."""
    settings = loaded({"OTEL_EXPORTER_OTLP_HEADERS": f"x-tenant=a,,{pair},"})
    assert {key: value.get_secret_value() for key, value in settings.headers.items()} == {"x-tenant": "a"}
    assert settings.ignored == (f"OTEL_EXPORTER_OTLP_HEADERS pair 3 is ignored: {problem}",)


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"x": "a", "y": "canaryé"}, _VALUE),
        ({"x": "a", "Authorization: canary": "a"}, _NAME),
        ({"x": "a", "": "b"}, _NAME),
    ],
)
def test_a_header_of_the_config_that_is_none_is_refused(headers: dict[str, str], problem: str) -> None:
    """In one line, without any of it."""
    with pytest.raises(ConfigError) as caught:
        loaded({}, headers=headers)
    assert str(caught.value) == f"telemetry.headers: header 2 cannot be sent: {problem}"


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "OTEL_EXPORTER_OTLP_HEADERS",
                "OTEL_RESOURCE_ATTRIBUTES",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "OTEL_SERVICE_NAME",
                "OTEL_TRACES_EXPORTER",
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ]
        ),
        st.text() | st.binary().map(os.fsdecode) | st.text("a=%,: \udcff;0Z"),
    )
)
def test_no_environment_is_worse_than_ignored(environ: dict[str, str]) -> None:
    """Settings load whatever the variables hold, and what is told of them is one line each."""
    settings = loaded(environ)
    assert settings == loaded(environ)
    assert settings.model_dump(mode="json")
    assert all(text.isprintable() for text in settings.ignored)


def test_a_variable_that_is_not_utf8_is_ignored_and_told() -> None:
    """Whatever it is of."""
    raw = os.fsdecode(b"caf\xe9")
    variables = ["CERTIFICATE", "PROTOCOL", "HEADERS", "ENDPOINT", "TIMEOUT"]
    environ = {f"OTEL_EXPORTER_OTLP_{name}": f"a={raw}" for name in variables} | {"OTEL_SERVICE_NAME": raw}
    settings = loaded(environ)
    assert (settings.service, settings.certificate, settings.headers) == ("", None, {})
    assert sorted(settings.ignored) == sorted(f"{name} is ignored: it must be UTF-8" for name in environ)
    with pytest.raises(ConfigError, match=r"^telemetry\.endpoint: must be "):
        loaded({}, endpoint=f"file:///{raw}")


def test_a_query_of_an_endpoint_is_masked() -> None:
    """A key may stand in it under any name."""
    settings = loaded({}, endpoint="http://h:1/x?k=canary")
    assert "canary" not in f"{settings!r} {settings.model_dump()} {settings.destination}"
    assert settings.destination == "http://h:1/x?********"


def test_a_login_of_an_endpoint_is_masked() -> None:
    """With a scheme or without, as gRPC takes it."""
    for endpoint in ("http://me:canary@h:1", "me:canary@h:1"):
        settings = loaded({}, endpoint=endpoint, protocol="grpc")
        assert "canary" not in f"{settings!r} {settings.model_dump()} {settings.destination}"
        assert settings.destination.endswith("********@h:1")


def test_a_flag_that_is_neither_true_nor_false_is_told() -> None:
    """It is false, as the specification says."""
    settings = loaded({"OTEL_SDK_DISABLED": "1", "OTEL_EXPORTER_OTLP_INSECURE": "yes"})
    assert (settings.enabled, settings.insecure) == (True, False)
    assert settings.ignored == (
        "OTEL_EXPORTER_OTLP_INSECURE is taken for false: must be true or false",
        "OTEL_SDK_DISABLED is taken for false: must be true or false",
    )


@pytest.mark.parametrize("exporter", ["none", "None", " none ", "none,none", "none, "])
def test_exporters_that_send_nothing_are_not_active(exporter: str) -> None:
    """However many of them are listed."""
    assert (loaded({}, exporter=exporter).is_active, loaded({}, exporter=f"{exporter},otlp").is_active) == (False, True)


@pytest.mark.parametrize("exporter", ["", " ", ",", " , "])
def test_an_empty_list_of_exporters_is_refused(exporter: str) -> None:
    """It would send nothing, and say nothing of it."""
    with pytest.raises(ConfigError, match=r"telemetry\.exporter: must name an exporter"):
        loaded({}, exporter=exporter)


def test_an_endpoint_of_the_command_line_is_sent_to() -> None:
    """By OTLP, whatever the environment or the config turn off."""
    environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"}
    for config in ({}, {"exporter": "none", "enabled": False}, {"exporter": "console"}):
        settings = Settings.load(config, environ, options={"endpoint": "http://cli:3"})
        assert (settings.is_active, settings.exporters, settings.target) == (True, ("otlp",), "http://cli:3/v1/traces")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["rows", "runlog.rows"], "telemetry.metrics.annotations: name 2 is empty or reserved (docs/annotations.md)"),
        ([""], "telemetry.metrics.annotations: name 1 is empty or reserved (docs/annotations.md)"),
        ("rows", "telemetry.metrics.annotations: must be a list"),
    ],
)
def test_metrics_of_annotations_have_names_that_steps_can_annotate(names: object, problem: str) -> None:
    """None of ours and of the conventions."""
    assert loaded({}, metrics={"annotations": ["rows", "app.loss"]}).metrics.annotations == ("rows", "app.loss")
    with pytest.raises(ConfigError) as raised:
        loaded({}, metrics={"annotations": names})
    assert str(raised.value) == problem
