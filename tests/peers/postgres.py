"""A PostgreSQL server with databases of its own, that tests may stop and restart."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.loopback import HOST, free_ports
from tests.peers.process import Identity, Server, running

USER = "runlog"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # the folder of a test may be too long a path for a socket
    "max_connections": "50",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Postgres:
    """A PostgreSQL server."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        """Make an empty cluster in an empty folder; `server` starts it."""
        self._binaries = binaries
        self._port = free_ports(1)[0]
        self._password = secrets.token_urlsafe()
        # PostgreSQL refuses to run as root, and Debian's package makes this user for it.
        is_root = os.geteuid() == 0
        identity = Identity(user="postgres", group="postgres", extra_groups=[]) if is_root else Identity()
        self._init(folder, identity)
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": self._port}.items()]
        self.server = Server(
            [f"{binaries}/postgres", "-D", "data", *settings],
            folder,
            self._is_ready,
            identity=identity,
            stop_signal=signal.SIGINT,  # "fast": connections are ended, not waited for
        )

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the server's first database."""
        return self._url("postgres")

    def create_database(self, encoding: str = "UTF8") -> str:
        """Create an empty database of an encoding and return its URL."""
        name = f"test_{secrets.token_hex(8)}"
        self._client("createdb", "--template=template0", f"--encoding={encoding}", name).check_returncode()
        return self._url(name)

    def start(self) -> None:
        """Start the server unless it runs, and wait until it takes connections."""
        self.server.start()

    def stop(self) -> None:
        """Stop the server, which ends all connections; its port stays its own."""
        self.server.stop()

    def restart(self) -> None:
        """Stop and start the server."""
        self.stop()
        self.start()

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}:{self._password}@{HOST}:{self._port}/{database}"

    def _is_ready(self) -> bool:
        return self._client("pg_isready", "--quiet", "--dbname=postgres").returncode == 0

    def _client(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = [f"--host={HOST}", f"--port={self._port}", f"--username={USER}"]
        env = os.environ | {"PGPASSWORD": self._password}
        return subprocess.run([self._binaries / program, *options, *arguments], env=env, check=False, text=True)

    def _init(self, folder: Path, identity: Identity) -> None:
        password_file = folder / "password"
        password_file.write_text(self._password)
        if "user" in identity:
            for path in (folder, password_file):
                shutil.chown(path, identity["user"])
        options = ["--auth=scram-sha-256", "--pwfile=password", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [self._binaries / "initdb", "--pgdata=data", f"--username={USER}", *options],
            cwd=folder,
            **identity,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        password_file.unlink()


@contextmanager
def running_postgres(binaries: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL server of its own port and data."""
    # Not below pytest's folders: those are closed to the user that the server runs as when the tests run as root.
    with tempfile.TemporaryDirectory(prefix="runlog-otel-postgres-") as folder:
        postgres = Postgres(binaries, Path(folder))
        with running(postgres.server):
            yield postgres
