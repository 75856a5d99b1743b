"""What a command imports: each is started for every call, so it must not load what it does not use."""

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from runlog_otel.cli.app import _COMMANDS
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.store import SqlStore
from tests.cli.conftest import RUNS

_HEAVY = {
    "alembic",
    "asyncio",
    "google.protobuf",
    "grpc",
    "httpcore",
    "importlib.metadata",
    "magnus",
    "markdown_it",
    "opentelemetry",
    "prometheus_client",
    "pydantic",
    "pygments",
    "requests",
    "rich",
    "ruamel.yaml",
    "runnable",
    "sqlalchemy",
    "stevedore",
}
_CALL = """
import sys
from runlog_otel.cli import main
status = main(sys.argv[1:])
print(status, *sys.modules, file=sys.stderr)
"""


def _imported(folder: Path, *arguments: str) -> tuple[str, set[str]]:
    """The exit status of a call, and what it imports of the packages that cost time."""
    done = subprocess.run(
        [sys.executable, "-c", _CALL, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    status, *modules = done.stderr.split()
    return status, _HEAVY.intersection(modules)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["trace-id", "a"], {"importlib.metadata", "pydantic", "ruamel.yaml"}),
        (["runs"], {"importlib.metadata", "pydantic", "rich", "ruamel.yaml"}),
        (["show", RUNS["demo"]], {"importlib.metadata", "pydantic", "rich", "ruamel.yaml"}),
        (["runs", "--source", ".run_log_store"], {"importlib.metadata", "pydantic", "rich"}),
        (["show", RUNS["demo"], "--source", ".run_log_store"], {"importlib.metadata", "pydantic", "rich"}),
        (["why", RUNS["demo"], "--source", ".run_log_store"], {"importlib.metadata", "pydantic", "rich"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_imports_what_it_needs(project: Path, arguments: list[str], needed: set[str]) -> None:
    """Neither host, nor database, nor network, where runs are read from files: of a folder, or of a config's store."""
    status, imported = _imported(project, *arguments)
    assert status == "0"
    assert imported <= needed


def test_an_export_of_a_sqlite_file_does_not_load_sqlalchemy(project: Path) -> None:
    """Neither to list nor to read runs."""
    document = json.loads((project / ".run_log_store" / f"{RUNS['demo']}.json").read_text())
    SqlStore(Database(f"sqlite:///{project}/runs.db")).put(document)
    endpoint = (project / "traces.jsonl").as_uri()
    status, imported = _imported(project, "export", "--all", "--source", "sqlite:///runs.db", "--endpoint", endpoint)
    assert status == "0"
    assert imported <= {"google.protobuf", "importlib.metadata", "opentelemetry", "pydantic"}  # the file is JSON


@pytest.mark.parametrize("name", _COMMANDS)
def test_the_list_of_commands_says_what_their_help_says(name: str) -> None:
    """The list stands beside the commands, which it does not import: each line is the first sentence of a help."""
    module = import_module(f"runlog_otel.cli.{name.replace('-', '_')}")
    command = getattr(module, name.replace("-", "_"))
    text = command.info.help if isinstance(command, typer.Typer) else inspect.getdoc(command)
    sentence, _, _ = f"{text} ".replace("\n", " ").partition(". ")
    assert f"{sentence.strip('.')}." == _COMMANDS[name]


def test_a_call_without_arguments_shows_the_help(tmp_path: Path) -> None:
    """On standard error, as nothing was done; exit status 2."""
    for group in ([], ["db"]):
        alone, helped = (
            subprocess.run(
                [sys.executable, "-m", "runlog_otel", *group, *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            for arguments in ([], ["--help"])
        )
        assert (alone.returncode, alone.stdout, alone.stderr) == (2, "", helped.stdout)
