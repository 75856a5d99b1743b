"""The compose files load as Docker loads them, and name only what is in the repository and what the tests run."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.peers.install import PEERS
from tests.stack.alerting import load as load_yaml
from tests.stack.composed import GATEWAYS, LOKI, SINGLE, Service, load, services
from tests.stack.shipped import CONFIGS, ROOT
from tests.stack.test_files import TIERS

STACKS = pytest.mark.parametrize("files", [SINGLE, GATEWAYS, LOKI], ids=["single", "gateways", "loki"])
REQUIRED = re.compile(r"\$\{(\w+):\?")
ADDRESS = re.compile(r"\$\{env:\w+:-(?:http://)?([\w.-]+):(\d+)[/}]")
URL_HOST = re.compile(r"http://([\w.-]+):\d+")
ONE_SHOT = {"prepare-volumes", "tables", "demo"}
WITHOUT_A_PROBE = {"collector", "gateway-1", "gateway-2", "victorialogs"}
"""Their image holds nothing that could ask."""


def mounted(service: Service) -> dict[str, Path]:
    """What is mounted from the repository, by its path in the container."""
    return {each["target"]: Path(each["source"]) for each in service.get("volumes", ()) if each["type"] == "bind"}


def configs(service: Service) -> tuple[Path, ...]:
    """The files that a service's command and environment name, as they are in the repository."""
    told = [*(service.get("command") or ()), *service.get("environment", {}).values()]
    paths = [Path(word.rpartition("=")[2]) for word in map(str, told) if re.search(r"(^|=)/etc/", word)]
    mounts = {path: next((at for at in mounted(service) if path.is_relative_to(at)), None) for path in paths}
    assert [path for path, at in mounts.items() if at is None] == [], "not mounted"
    return tuple(mounted(service)[at] / path.relative_to(at) for path, at in mounts.items() if at is not None)


def data_source_files(grafana: Service) -> list[Path]:
    """The files of Grafana's data sources, each from the mount that is nearest to it."""
    folder = "/etc/grafana/provisioning"
    mounts = mounted(grafana)
    names = [path.name for path in (mounts[folder] / "datasources").iterdir()]
    return [mounts.get(f"{folder}/datasources/{name}", mounts[folder] / "datasources" / name) for name in sorted(names)]


def data_sources(grafana: Service) -> dict[str, dict[str, Any]]:
    """Grafana's data sources by their id."""
    sources = [each for file in data_source_files(grafana) for each in load_yaml(file)["datasources"]]
    return {source["uid"]: source for source in sources}


@STACKS
def test_every_mount_is_in_the_repository(compose_program: Path, files: tuple[str, ...]) -> None:
    """What a service mounts is there, and cannot be written to by it."""
    binds = [
        (each["source"], each.get("read_only"))
        for service in services(compose_program, files).values()
        for each in service.get("volumes", ())
        if each["type"] == "bind"
    ]
    assert [bind for bind in binds if bind[1] is not True] == []
    assert [source for source, _ in binds if not Path(source).exists()] == []


@STACKS
def test_every_port_is_on_loopback(compose_program: Path, files: tuple[str, ...]) -> None:
    """Nothing is published to other machines."""
    ports = [port for service in services(compose_program, files).values() for port in service.get("ports", ())]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    published = [port["published"] for port in ports]
    assert len(set(published)) == len(published)


@STACKS
def test_every_image_has_a_version(compose_program: Path, files: tuple[str, ...]) -> None:
    """Images are pinned, our own to this version, the Collector's and VictoriaLogs' to those that the tests run."""
    images = {name: service["image"].rpartition(":") for name, service in services(compose_program, files).items()}
    assert {name for name, (_, _, tag) in images.items() if not re.match(r"v?\d+(\.\d+)*$", tag)} == set()
    assert {tag for image, _, tag in images.values() if image == "runlog-otel"} == {version("runlog-otel")}
    tested = {peer.name: peer.version for peer in PEERS}
    assert {f"v{tag}" for image, _, tag in images.values() if "opentelemetry-collector" in image} == {
        tested["collector"]
    }
    assert images["victorialogs"][2] == tested["victorialogs"]


@STACKS
def test_every_file_that_a_command_names_is_there(compose_program: Path, files: tuple[str, ...]) -> None:
    """Each path below /etc leads through a mount to a file of collector-config; Collectors run a tier of the tests."""
    named = {name: configs(service) for name, service in services(compose_program, files).items()}
    assert [path for paths in named.values() for path in paths if not path.is_file()] == []
    collectors = [paths for paths in named.values() if any(path.parent.name == "collector" for path in paths)]
    assert {tuple(path.name for path in paths) for paths in collectors} <= set(TIERS)
    assert {name for name, paths in named.items() if paths} == set(named) - {
        "prepare-volumes",
        "postgres",
        "victorialogs",
        "grafana",  # reads /etc/grafana by itself
    }


@STACKS
def test_the_defaults_of_the_files_are_the_services(compose_program: Path, files: tuple[str, ...]) -> None:
    """Where a file's default is an address, it is one that the service listens on, or another service."""
    found = services(compose_program, files)
    for name, service in found.items():
        texts = [path.read_text(encoding="utf-8") for path in configs(service) if path.suffix == ".yaml"]
        addresses = {address for text in texts for address in ADDRESS.findall(text)}
        listened = {int(port) for host, port in addresses if host == "0.0.0.0"}
        hosts = {host for host, _ in addresses} - {"0.0.0.0"}
        assert hosts <= set(found), name
        if listened:
            assert {port["target"] for port in service.get("ports", ())} <= listened, name


@STACKS
def test_what_is_scraped_and_asked_is_a_service(compose_program: Path, files: tuple[str, ...]) -> None:
    """Prometheus's targets and Grafana's data sources are services, and Grafana's dashboards are where it looks."""
    found = services(compose_program, files)
    scraped = load_yaml(CONFIGS / "prometheus" / "prometheus.yml")["scrape_configs"]
    targets = {target for job in scraped for static in job["static_configs"] for target in static["targets"]}
    provisioning = CONFIGS / "grafana" / "provisioning"
    asked = {str(urlsplit(source["url"]).hostname) for source in data_sources(found["grafana"]).values()}
    assert {target.partition(":")[0] for target in targets} | asked <= set(found)
    providers = [each for file in (provisioning / "dashboards").iterdir() for each in load_yaml(file)["providers"]]
    paths = {provider["options"]["path"] for provider in providers}
    assert {mounted(found["grafana"]).get(path) for path in paths} == {CONFIGS / "grafana" / "dashboards"}


@STACKS
def test_spans_lead_to_where_the_logs_are(compose_program: Path, files: tuple[str, ...]) -> None:
    """The Collectors send logs to the backend that Grafana opens from a span, and each line of it leads back."""
    found = services(compose_program, files)
    sources = data_sources(found["grafana"])
    logs = sources[sources["jaeger"]["jsonData"]["tracesToLogsV2"]["datasourceUid"]]
    default = load_yaml(CONFIGS / "collector" / "single.yaml")["exporters"]["otlp_http/logs"]["endpoint"]
    collectors = [service for name, service in found.items() if name.startswith(("collector", "gateway"))]
    sent_to = [service.get("environment", {}).get("LOGS_OTLP", default) for service in collectors]
    assert {host for url in sent_to for host in URL_HOST.findall(url)} == {urlsplit(logs["url"]).hostname}
    back = logs["jsonData"].get("otelPreset") or logs["jsonData"]["derivedFields"][0]
    assert "jaeger" in back.values()


@STACKS
def test_every_data_source_has_its_plugin(compose_program: Path, files: tuple[str, ...]) -> None:
    """Grafana brings the plugins of some data sources by itself; the others are installed, in a fixed version."""
    grafana = services(compose_program, files)["grafana"]
    installed = dict(re.findall(r"([\w-]+)@([\d.]+)", grafana["environment"]["GF_PLUGINS_PREINSTALL"]))
    own = {"prometheus", "jaeger", "loki"}
    assert {source["type"] for source in data_sources(grafana).values()} - own == set(installed)


def test_jaeger_is_the_same_beside_loki(compose_program: Path) -> None:
    """Loki's overlay replaces the file of the data source, and changes only where its spans find logs."""
    first, second = (data_sources(services(compose_program, files)["grafana"])["jaeger"] for files in (SINGLE, LOKI))
    assert first["jsonData"].pop("tracesToLogsV2") != second["jsonData"].pop("tracesToLogsV2")
    assert first == second


@STACKS
def test_what_stays_up_is_probed(compose_program: Path, files: tuple[str, ...]) -> None:
    """Every service that stays up is restarted, and has a health check if its image has something to ask with."""
    found = services(compose_program, files)
    staying = {name for name in found if name not in ONE_SHOT}
    assert {name for name, service in found.items() if service.get("restart")} == staying
    assert {name for name, service in found.items() if "healthcheck" in service} == staying - WITHOUT_A_PROBE


@STACKS
def test_nothing_starts_without_passwords(compose_program: Path, files: tuple[str, ...]) -> None:
    """Without a password Docker says what to do; .env.example lists all of them, and none has a value."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    listed = {line for line in example if line and not line.startswith("#")}
    required = {name for file in files for name in REQUIRED.findall((ROOT / file).read_text(encoding="utf-8"))}
    assert listed == {f"{name}=" for name in required}
    done = load(compose_program, files)
    assert done.returncode != 0
    for name in required:
        assert f"{name} is missing a value: copy .env.example to .env and set it" in done.stderr


def test_the_image_has_what_it_installs() -> None:
    """What is sent to Docker's builder is what the package is made of, and git ignores the passwords."""
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sent[0] == "*"
    assert [line for line in sent if line.startswith("!") and not (ROOT / line[1:]).exists()] == []
    assert "/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
