"""A pgbouncer in front of the tests' PostgreSQL, that lends connections for one transaction each, as most do."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from tests.peers.loopback import HOST, free_ports
from tests.peers.postgres import Postgres
from tests.peers.process import Identity, Server, running

POOL_SIZE = 2
"""How many connections to the server all clients share: few, so that what one leaves behind meets the next."""


@dataclass(frozen=True)
class Pgbouncer:
    """A running pgbouncer, in Debian's default settings but for transaction pooling and a small pool."""

    port: int

    def url(self, database_url: str) -> str:
        """The URL of a database of the server, through the pooler."""
        return make_url(database_url).set(port=self.port).render_as_string(hide_password=False)


@contextmanager
def running_pgbouncer(binaries: Path, postgres: Postgres) -> Iterator[Pgbouncer]:
    """Run a pgbouncer on a port of its own."""
    server = make_url(postgres.url)
    (port,) = free_ports(1)
    is_root = os.geteuid() == 0  # pgbouncer refuses to run as root, as PostgreSQL does
    identity = Identity(user="postgres", group="postgres", extra_groups=[]) if is_root else Identity()
    with tempfile.TemporaryDirectory(prefix="runlog-otel-pgbouncer-") as name:
        folder = Path(name)
        (folder / "users.txt").write_text(f'"{server.username}" "{server.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.host} port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = scram-sha-256\nauth_file = users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {POOL_SIZE}\nmax_client_conn = 200\n"
        )
        if is_root:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "postgres")
        command = [f"{binaries}/pgbouncer", "pgbouncer.ini"]
        with running(Server(command, folder, lambda: _listens(port), identity=identity)):
            yield Pgbouncer(port)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
