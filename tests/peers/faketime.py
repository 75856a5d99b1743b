"""Programs whose clock is off, by Debian's faketime."""

from pathlib import Path


def command(binaries: Path, seconds: int) -> list[str]:
    """What to put before a program and its arguments, for a clock that is this much ahead; negative: behind."""
    return [str(binaries / "faketime"), "-f", f"{seconds:+d}s"]
