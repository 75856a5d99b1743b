"""The names that users import: complete, documented, and loaded when they are used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runlog_otel
from runlog_otel import Settings, source_from_url
from runlog_otel.core import semconv
from tests.typing import program

_ROOT = Path(__file__).parents[1]
_HEAVY = ("pydantic", "sqlalchemy", "opentelemetry", "httpcore", "rich", "typer")
_LOG = _ROOT / "tests" / "golden" / "demo.log.json"
_FOR_READERS = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md")), *sorted((_ROOT / "examples").glob("*.py"))]


@pytest.mark.parametrize("name", runlog_otel.__all__)
def test_a_public_name_is_that_of_its_module(name: str) -> None:
    """It is found, and says which module has it."""
    value = getattr(runlog_otel, name)
    assert getattr(sys.modules[value.__module__], name) is value
    assert name in dir(runlog_otel)


def test_the_names_for_type_checkers_are_those_that_are_loaded() -> None:
    """The three lists of names in the package's `__init__` are one list."""
    tree = ast.parse(Path(str(runlog_otel.__file__)).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        f"{node.module}.{alias.name}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    loaded = {f"runlog_otel.{module}.{name}" for module, names in runlog_otel._MODULES.items() for name in names}
    assert typed == loaded
    assert sorted(name.rpartition(".")[2] for name in loaded) == sorted(runlog_otel.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module."""
    assert not hasattr(runlog_otel, "Nothing")


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        (
            "import runlog_otel",
            ("runlog_otel.", "pydantic", "sqlalchemy", "opentelemetry", "httpcore", "rich", "typer"),
        ),
        (
            "from runlog_otel import run_from_log, spans_from_run",
            ("pydantic", "sqlalchemy", "opentelemetry", "httpcore"),
        ),
        ("from runlog_otel import RunlogContextFilter", ("pydantic", "sqlalchemy", "opentelemetry.sdk", "httpcore")),
        ("from runlog_otel import Settings", ("sqlalchemy", "opentelemetry", "httpcore", "rich", "typer")),
    ],
)
def test_an_import_loads_what_it_needs(statement: str, heavy: tuple[str, ...]) -> None:
    """A program that takes one name does not pay for the others."""
    code = f"{statement}\nimport sys\nprint([name for name in sys.modules if name.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", _FOR_READERS, ids=lambda path: path.name)
def test_documents_import_public_names_only(path: Path) -> None:
    """What a document shows is what users may rely on."""
    imported = re.findall(r"(?:from|import) (runlog_otel\S*)(?: import ([\w, ]+))?", path.read_text(encoding="utf-8"))
    assert {module for module, _ in imported} <= {"runlog_otel"}
    names = {name.strip() for _, names in imported for name in names.split(",") if name.strip()}
    assert names <= set(runlog_otel.__all__)


def test_a_program_of_a_user_runs(tmp_path: Path) -> None:
    """The program whose types `make check` reads does what it says."""
    names = program.mapped(_LOG)
    assert (names[0], semconv.RUN_DURATION in names) == ("RUN pipeline.main", True)
    assert program.ids_of(str(_LOG)) == ["cruel-nobel-0638"]
    assert program.failed(f"sqlite:///{tmp_path / 'runs.db'}") == []
    assert [type(each).__name__ for each in program.handler().filters] == ["RunlogContextFilter"]
    source = source_from_url(str(_LOG), Settings.load({}, {}), lambda _: None)
    assert not program.is_known(source, "another")
