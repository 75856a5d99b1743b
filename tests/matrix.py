"""Runs the tests that need no backend on each Python that is there: `make matrix`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def interpreter(version: str) -> str | None:
    """The path of a Python of that version, on the PATH or under pyenv."""
    roots = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(roots.glob(f"{version}.*/bin/python")) if roots.is_dir() else []
    return str(found[-1]) if found else shutil.which(f"python{version}")


def main(versions: list[str]) -> int:
    """Test each version; 1 when one of them failed."""
    failed = []
    for version in versions:
        python = interpreter(version)
        if python is None:
            print(f"python {version}: not on this machine")
            continue
        venv = Path(f".venv-{version}")
        subprocess.run(["make", f"VENV={venv}", f"PYTHON={python}", f"{venv}/.installed"], check=True)
        print(f"python {version}", flush=True)
        # magnus is tested by `make test-all` alone, on the Python of its own environment.
        options = ["-m", "not peers", "-n", "auto", "--dist", "loadscope", "--ignore=tests/hosts/magnus"]
        done = subprocess.run([venv / "bin/python", "-m", "pytest", "-q", *options], check=False)
        if done.returncode:
            failed.append(version)
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
