"""The package is built as HOUSE.md draws it: small modules and functions, no circles, and a core that needs nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runlog_otel

PACKAGE = Path(runlog_otel.__file__).parent
MODULES = {path.relative_to(PACKAGE.parent).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50
_PURE = ("runlog_otel.core", "runlog_otel.errors", "runlog_otel.printable")
_IMPORT_ALONE = """
import importlib, sys

class OnlyTheStandardLibrary:
    def find_spec(self, name, path=None, target=None):
        is_ours = name == "runlog_otel" or name.startswith(tuple(sys.argv[1:]))
        if not is_ours and name.partition(".")[0] not in sys.stdlib_module_names:
            raise ImportError(f"the core imports {name}")

sys.meta_path.insert(0, OnlyTheStandardLibrary())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_small(name: str) -> None:
    """What is longer is two."""
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(function.name, (function.end_lineno or 0) - function.lineno + 1) for function in functions]
    assert [(function, lines) for function, lines in lengths if lines > MAX_FUNCTION_LINES] == []


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_the_core_imports_the_standard_library_alone() -> None:
    """Every other package is refused, in a process of its own."""
    core = [module for module in map(_module, MODULES) if module.startswith(_PURE)]
    subprocess.run([sys.executable, "-c", _IMPORT_ALONE, *core], check=True)


def test_no_import_goes_in_a_circle() -> None:
    """Imports inside of functions and those for the type checker included."""
    imports = {_module(name): set(_imported(path)) for name, path in MODULES.items()}
    while leaves := [name for name, modules in imports.items() if not (modules & imports.keys()) - {name}]:
        for name in leaves:
            del imports[name]
    assert imports == {}


def _imported(path: Path) -> Iterator[str]:
    """The modules of ours that a module imports; of a package, its parts stand for it."""
    modules = set(map(_module, MODULES))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (part if part in modules else node.module for part in parts)
