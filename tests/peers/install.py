"""Which peers there are; must import the standard library only, for it runs before there is a virtual environment."""

import time
from pathlib import Path

from tests.peers.recipes import CollectorBuild, GoModule, InstallError, Recipe, SystemPostgres, SystemProgram

PEERS: tuple[Recipe, ...] = (
    # v0.159.0 is the newest release whose every module the Go proxy serves.
    CollectorBuild("collector", "v0.159.0", manifest="collector-builder.yaml"),
    GoModule("jaeger", "v1.76.0", module="github.com/jaegertracing/jaeger", packages=("./cmd/jaeger",)),
    GoModule(
        "prometheus",
        "v0.315.0",
        module="github.com/prometheus/prometheus",
        packages=("./cmd/prometheus", "./cmd/promtool"),
        flags=("-tags=remove_all_sd",),
    ),
    GoModule(
        "alertmanager",
        "v0.34.2",
        module="github.com/prometheus/alertmanager",
        packages=("./cmd/alertmanager", "./cmd/amtool"),
        # It embeds a web page that is built by npm and not part of the module.
        placeholders=("ui/app/dist/index.html",),
    ),
    # The loader and schema of `docker compose config`; Docker's own program takes minutes to build.
    GoModule("compose", "v2.16.2", module="github.com/compose-spec/compose-go/v2", packages=("./cmd",)),
    GoModule("minio", "v0.0.0-20260212201848-7aac2a2c5b7c", module="github.com/minio/minio", packages=(".",)),
    GoModule(
        "victorialogs",
        "v1.52.1",
        module="github.com/VictoriaMetrics/VictoriaLogs",
        packages=("./app/victoria-logs",),
    ),
    SystemPostgres("postgres", package="postgresql", program="postgres"),
    SystemProgram("pgbouncer", package="pgbouncer", program="pgbouncer"),
    SystemProgram("nginx", package="nginx-light", program="nginx"),
    SystemProgram("tinyproxy", package="tinyproxy-bin", program="tinyproxy"),
    SystemProgram("faketime", package="faketime", program="faketime"),
    SystemProgram("chromium", package="chromium", program="chromium"),
)


def find(name: str) -> Path | None:
    """Return the folder with the binaries of the peer of that name, None when it is not installed."""
    return next(peer for peer in PEERS if peer.name == name).find()


def install(peer: Recipe) -> bool:
    """Install a peer unless it is there, tell so in one line, and return whether it is there now."""
    print(f"{peer.name} {peer.version}:", end=" ", flush=True)
    if peer.find():
        print("there")
        return True
    print("building ...", end=" ", flush=True)
    started = time.monotonic()
    try:
        peer.install()
    except (InstallError, OSError) as error:
        print(f"failed: {error}")
        return False
    print(f"{time.monotonic() - started:.0f} s")
    return True


def main() -> int:
    """Install every peer that is missing, and return the exit status: 1 when any could not be installed."""
    are_there = [install(peer) for peer in PEERS]
    return 0 if all(are_there) else 1
