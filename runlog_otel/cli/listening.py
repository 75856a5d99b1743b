"""Where a command serves, and to whom."""

from dataclasses import dataclass
from pathlib import Path

from runlog_otel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Listening:
    """Address, TLS files and credentials of a server."""

    address: str
    certificate: Path | None = None
    key: Path | None = None
    credentials_file: Path | None = None

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key, or neither; raises ConfigError."""
        if self.certificate and self.key:
            return self.certificate, self.key
        if self.certificate or self.key:
            raise ConfigError("--tls-cert, --tls-key", "give both or neither")
        return None

    @property
    def credentials(self) -> str:
        """`user:password`, or nothing; raises ConfigError."""
        if self.credentials_file is None:
            return ""
        try:
            credentials = self.credentials_file.read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as error:
            raise ConfigError("--basic-auth-file", f"cannot be read: {error}") from error
        user, _, password = credentials.partition(":")
        if not user or not password or len(credentials.splitlines()) > 1:
            raise ConfigError("--basic-auth-file", f"{self.credentials_file} must hold one line user:password")
        return credentials
