"""A tinyproxy that demands a login: requests to servers without TLS are handed on, those with TLS go by CONNECT."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.loopback import HOST, free_ports
from tests.peers.process import Server, accepts, running

USER, PASSWORD = "me", "pass.word"
"""Its config takes letters, digits, dots and hyphens only."""


@dataclass(frozen=True)
class Tinyproxy:
    """A running proxy."""

    address: str
    """Its host and port."""
    log: Path

    def url(self, user: str = USER, password: str = PASSWORD) -> str:
        """What stands in HTTP_PROXY, with a login, of which each character is percent-encoded."""
        encoded = [f"%{byte:02X}" for byte in password.encode()]
        return f"http://{user}:{''.join(encoded)}@{self.address}"

    def requests(self) -> int:
        """How many requests came to it."""
        return self.log.read_text().count("Request (file descriptor")


@contextmanager
def running_tinyproxy(binaries: Path, folder: Path) -> Iterator[Tinyproxy]:
    """Run a tinyproxy on a port of its own."""
    (port,) = free_ports(1)
    config = folder / "tinyproxy.conf"
    config.write_text(
        f"Listen {HOST}\nPort {port}\nTimeout 60\nMaxClients 20\nAllow {HOST}\nLogLevel Connect\n"
        f"BasicAuth {USER} {PASSWORD}\n"
    )
    server = Server([f"{binaries}/tinyproxy", "-d", "-c", str(config)], folder, lambda: accepts(port))
    with running(server):
        yield Tinyproxy(f"{HOST}:{port}", server.log)
