"""An nginx in front of another server, with its default limits: a body may have 1 MiB."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.loopback import HOST, free_ports
from tests.peers.process import Server, accepts, running


@contextmanager
def running_nginx(binaries: Path, folder: Path, upstream: str) -> Iterator[str]:
    """Run an nginx on a port of its own, that hands requests to a server; gives its URL."""
    (port,) = free_ports(1)
    config = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {json.dumps(str(folder / kind))};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        f"daemon off; {user} worker_processes 1; pid {json.dumps(str(folder / 'nginx.pid'))}; error_log stderr;\n"
        "events {}\n"
        f"http {{ access_log off; {temporary}\n"
        f"server {{ listen {HOST}:{port}; location / {{ proxy_pass {upstream}; }} }} }}\n"
    )
    command = [f"{binaries}/nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)]
    with running(Server(command, folder, lambda: accepts(port))):
        yield f"http://{HOST}:{port}"
