"""The wheel, built as for a release and installed into an empty environment."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def called(*command: str | Path, folder: Path) -> str:
    """What a command prints, without this checkout on its path."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [os.fspath(part) for part in command], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    called(sys.executable, *_PIP, "wheel", "--no-deps", "--wheel-dir", folder, _ROOT, folder=folder)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Types, migrations and the demo are in it; tests and docs are not."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"runlog_otel", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    files = [path for path in (_ROOT / "runlog_otel").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    packed = {name for name in names if name.startswith("runlog_otel/")}
    assert packed == {path.relative_to(_ROOT).as_posix() for path in files}


def test_the_installed_wheel_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment, with the extra `runnable`: a real pipeline, and its waterfall."""
    venv.create(tmp_path / "environment", with_pip=True)
    binaries = tmp_path / "environment" / "bin"
    called(binaries / "python", *_PIP, "install", f"{wheel}[runnable]", folder=tmp_path)
    where = "import runlog_otel; print(runlog_otel.__file__)"
    assert called(binaries / "python", "-c", where, folder=tmp_path).startswith(os.fspath(tmp_path / "environment"))
    shown = called(binaries / "runlog-otel", "demo", folder=tmp_path)
    assert "RUN demo" in shown
    assert "ConnectionError: the registry does not answer" in shown
    assert list((tmp_path / "runlog-otel-demo").rglob("*.json*"))
