"""How a peer comes onto this machine: built from a Go module into the user's cache folder, or as a system package."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

GO_NEEDED = (1, 26)
GO_FETCHING_ITSELF = (1, 21)  # from here on Go fetches the newer toolchain that a module asks for, unless told not to
BUILD = ("build", "-mod=mod", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")


class InstallError(Exception):
    """A peer cannot be installed; its text is one line that says what to do."""


class CommandError(InstallError):
    """A command of an installation failed."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        said = [line.strip() for line in log.read_text().splitlines() if re.search("[A-Za-z]", line)][-1]
        super().__init__(f"`{shlex.join(command)}` ended with: {said}; solve that (all output: {log}) and run it again")


class Recipe(Protocol):
    """One peer and how to find and install it."""

    @property
    def name(self) -> str:
        """The name that fixtures ask for."""

    @property
    def version(self) -> str:
        """The version that is found or installed."""

    def find(self) -> Path | None:
        """Return the folder with the binaries, None when it is not installed."""

    def install(self) -> None:
        """Install it, or raise InstallError."""


@dataclass(frozen=True)
class Workshop:
    """A temporary folder to build in, and the log of all that runs there."""

    folder: Path
    log: Path

    @property
    def binaries(self) -> Path:
        """The folder that becomes the installed one."""
        return self.folder / "bin"

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command to its end and return what it wrote to standard output, or raise CommandError."""
        env = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "DEBIAN_FRONTEND": "noninteractive"}
        env["RUNLEVEL"] = "1"  # Debian's packages start no service of the system's
        with self.log.open("a") as log:
            print("$", shlex.join(command), file=log, flush=True)
            done = subprocess.run(
                command,
                cwd=cwd or self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
            log.write(done.stdout)
        if done.returncode:
            raise CommandError(command, self.log)
        return done.stdout


@dataclass(frozen=True)
class Built(ABC):
    """A peer built into a folder of the user's cache that its name and version are the key of."""

    name: str
    version: str

    @property
    def folder(self) -> Path:
        """Where the binaries are, once they are."""
        return cache_folder() / f"{self.name}-{self.version}"

    def find(self) -> Path | None:
        """Return the folder with the binaries, None when it is not installed."""
        return self.folder if self.folder.is_dir() else None

    def install(self) -> None:
        """Build in a temporary folder beside, so that a folder of the final name is always complete."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        log = self.folder.with_name(f"{self.folder.name}.log")
        log.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=self.folder.parent) as folder:
            workshop = Workshop(Path(folder), log)
            workshop.binaries.mkdir()
            self.build(workshop)
            if self.find() is None:  # else another run was faster
                workshop.binaries.rename(self.folder)
        log.unlink()

    @abstractmethod
    def build(self, workshop: Workshop) -> None:
        """Put the binaries into the workshop's folder for them."""


@dataclass(frozen=True)
class GoModule(Built):
    """Commands of one Go module, built in a copy of it: `go install` refuses a module with a replace directive."""

    module: str
    packages: tuple[str, ...]
    flags: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()

    def build(self, workshop: Workshop) -> None:
        """Copy the module's sources, add the files they lack, build its commands."""
        go = find_go(workshop)
        download = json.loads(workshop.run(go, "mod", "download", "-json", f"{self.module}@{self.version}"))
        source = workshop.folder / "source"
        workshop.run("cp", "-R", download["Dir"], str(source))
        workshop.run("chmod", "-R", "u+w", str(source))  # Go's module cache is read-only
        for name in self.placeholders:
            placeholder = source / name
            placeholder.parent.mkdir(parents=True, exist_ok=True)
            placeholder.touch()
        workshop.run(go, *BUILD, *self.flags, "-o", f"{workshop.binaries}/", *self.packages, cwd=source)


@dataclass(frozen=True)
class CollectorBuild(Built):
    """An OpenTelemetry Collector made of the components that a manifest beside this module names."""

    manifest: str

    def build(self, workshop: Workshop) -> None:
        """Let the Collector's builder of the same version write the program, and build that."""
        go = find_go(workshop)
        manifest = Path(__file__).with_name(self.manifest)
        if f"version: {self.version[1:]}\n" not in manifest.read_text():
            raise InstallError(f"{self.manifest} is not of version {self.version}: change both together")
        builder = f"go.opentelemetry.io/collector/cmd/builder@{self.version}"
        workshop.run(go, "run", builder, "--config", str(manifest), "--skip-compilation")
        program = f"{workshop.binaries}/otelcol"
        workshop.run(go, *BUILD, "-o", program, ".", cwd=workshop.folder / "out")


@dataclass(frozen=True)
class SystemProgram:
    """A program of a Debian package, of whatever version the system has."""

    name: str
    package: str
    program: str
    version: str = "of the system"

    def find(self) -> Path | None:
        """Return the folder with the program: servers may stand outside a user's PATH."""
        program = shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        return Path(program).parent if program else None

    def install(self) -> None:
        """Install Debian's package."""
        log = cache_folder() / f"{self.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        install_package(Workshop(log.parent, log), self.package)
        log.unlink()


@dataclass(frozen=True)
class SystemPostgres(SystemProgram):
    """The PostgreSQL server of the system, which Debian keeps outside of every PATH."""

    def find(self) -> Path | None:
        """Return the folder with `initdb` and `postgres`: the one in PATH, else Debian's newest."""
        in_path = shutil.which("initdb")
        debian = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda folder: float(folder.parent.name))
        folders = [*([Path(in_path).resolve().parent] if in_path else []), *reversed(debian)]
        return next((folder for folder in folders if (folder / "postgres").exists()), None)


def cache_folder() -> Path:
    """Return the folder that all peers are below."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runlog-otel" / "peers"


def find_go(workshop: Workshop) -> str:
    """Return the path of a Go that can build the peers, installing Debian's when there is none."""
    if shutil.which("go") is None:
        install_package(workshop, "golang-go")
    go = shutil.which("go") or "go"
    settings = workshop.run(go, "env", "GOVERSION", "GOTOOLCHAIN")
    found = re.match(r"go(\d+)\.(\d+)", settings)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < GO_NEEDED and (version < GO_FETCHING_ITSELF or "local" in settings):
        needed = ".".join(map(str, GO_NEEDED))
        raise InstallError(
            f"Go {needed} or newer is needed, {go} is older: install it as https://go.dev/doc/install says"
        )
    return go


def install_package(workshop: Workshop, package: str) -> None:
    """Install a Debian package, or say how to when that is not for this user to do."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise InstallError(f"run `sudo apt-get install {package}`, or what your system has instead, and run this again")
    workshop.run("apt-get", "update")
    workshop.run("apt-get", "install", "-y", package)
