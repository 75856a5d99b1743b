"""Plugin config over OTEL_* environment over defaults."""

from pathlib import Path

import pytest

from runlog_otel.errors import ConfigError
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
    assert settings.resource_attributes("train") == {"service.name": "etl", "deployment.environment.name": "prod"}
    assert settings.exporter == "console"


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
    assert loaded(environ, **config).resource_attributes("train")["service.name"] == service


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


def test_settings_show_no_secret() -> None:
    """Whatever setting somebody puts one into: patterns may be secrets themselves, and names may hold tokens."""
    token = "ghp_canary0canary1canary2canary3canary4"
    settings = loaded(
        {},
        redact=["canary of a pattern"],
        service=token,
        resource={"api_key": "canary", "x": token},
        ui=f"http://a:{token}@b",
    )
    assert "canary" not in repr(settings)
    assert "canary" not in settings.model_dump_json()
    assert settings.resource_attributes("p") == {"service.name": "********", "api_key": "********", "x": "********"}
    assert settings.disclosure.patterns == ("canary of a pattern",)
