"""The example configs are configs that the host and the wrapper take."""

from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_loads(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key of it is known; nothing is connected to before it is used."""
    from runlog_otel.cli.loading import project

    monkeypatch.setenv("RUNS_PASSWORD", "any")
    monkeypatch.chdir(tmp_path)
    loaded = project(str(path))
    assert (loaded.is_wrapped, loaded.kind) == (True, "sql")
