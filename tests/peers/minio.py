"""A MinIO that keeps its buckets in a folder: the S3 that runnable's own minio stores write to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.loopback import HOST, answers, free_ports
from tests.peers.process import Server, running


@dataclass(frozen=True)
class Minio:
    """A running MinIO with its well-known credentials, which are the stores' defaults too."""

    url: str
    """Base URL of its S3 API."""
    _buckets: Path

    def make_bucket(self, name: str) -> None:
        """Make a bucket: to MinIO it is a folder."""
        (self._buckets / name).mkdir()


@contextmanager
def running_minio(binaries: Path, folder: Path) -> Iterator[Minio]:
    """Run a MinIO on a port of its own, with its data in a folder."""
    (port,) = free_ports(1)
    buckets = folder / "buckets"
    buckets.mkdir()
    url = f"http://{HOST}:{port}"
    command = [f"{binaries}/minio", "server", "--quiet", "--address", f"{HOST}:{port}", str(buckets)]
    with running(Server(command, folder, lambda: answers(f"{url}/minio/health/ready"))):
        yield Minio(url, buckets)
