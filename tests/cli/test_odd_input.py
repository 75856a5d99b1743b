"""Whatever a command is called with, or finds in a log, a config or the environment: one line, never a traceback."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.calls import Command
from tests.cli.conftest import GOLDEN, RUNS

LONG = "x" * 5000
FULL = "error: standard output cannot be written: No space left on device\n"
ODD_VALUES = [
    None, 5, -1, True, "", "x", "\ud800", "[/x]\x1b[31m\u202e", [], {}, [None], {"a": None}, float("nan"), float("inf"),
    1e300, 10**30, "9999-12-31 23:59:59.999", "0001-01-01 00:00:00",
]  # fmt: skip
ODD_FILES = {
    "deep": '{"a":' * 5000 + "1" + "}" * 5000,
    "digits": '{"run_id":' + "9" * 6000 + "}",
    "empty": "",
    "list": "[]",
    "nul": "\0",
    "number": "5",
    "text": '"x"',
}


def run_in_shell(project: Path, command: str, **environ: str) -> tuple[int, str]:
    """Exit status and standard error of a shell's command; `$R` is `runlog-otel`."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=os.environ | {"R": f"{sys.executable} -m runlog_otel"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show", LONG), 2, "File name too long"),
        (("show", f"{LONG}.json"), 2, "File name too long"),
        (("audit", "\udcff"), 2, "run '\\udcff' is not in"),
        (("runs", "--since", "99999999999d"), 2, "--since: must be at most 36500d"),
        (("runs", "--since", f"{'9' * 5000}d"), 2, "--since: must be at most 36500d"),
        (("export", "--since", "99999999999d"), 2, "--since: must be at most 36500d"),
        (("serve", "--interval", "99999999999999d"), 2, "--interval: must be at most 36500d"),
        (("runs", "--until", "never"), 2, "--until: 'never' is neither an age"),
        (("show", "x", "--config", LONG), 2, "there is no such file"),
        (("show", "x", "--source", LONG), 2, "names no folder and no file: File name too long"),
        (("show", "x", "--source", "file://["), 2, "--source: file://[ names no folder and no file: Invalid IPv6 URL"),
        (("show", "x", "--source", "what://x"), 2, "is of an unknown kind"),
        (("export", "x", "--endpoint", "http://["), 2, "telemetry.endpoint: must be http://host:port"),
        (("demo", "--endpoint", "http://["), 2, "--endpoint: http://[ is no URL: Invalid IPv6 URL"),
        (("show", "--bad"), 2, "error: No such option: --bad; see `runlog-otel show --help`\n"),
        (("runs", "--limit", "none"), 2, "Invalid value for '--limit'"),
        (("nonsense",), 2, "No such command 'nonsense'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)  # fmt: skip
def test_odd_arguments_are_told_in_one_line(quick: Command, arguments: tuple[str, ...], status: int, said: str) -> None:
    """Of a bounded length."""
    if "demo" in arguments:
        pytest.importorskip("runnable")
    called = quick(*arguments)
    assert (called.status, called.out, called.err.count("\n")) == (status, "", 1)
    assert len(called.err) < 2100
    assert said in called.err or len(called.err) > 1900


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (("--until", "9999-12-31T23:59:59"), 3),
        (("--since", "0001-01-01"), 3),
        (("--since", "9999-12-31T23:59:59+00:00"), 0),
        (("--until", "0001-01-01T00:00:00+14:00"), 0),
        (("--since", "36500d"), 3),
    ],
)
def test_the_first_and_the_last_day_are_days(
    quick: Command, database: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], listed: int
) -> None:
    """In every time zone, from files and from a database."""
    found = []
    try:
        for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            for place in ((), ("--source", f"sqlite:///{database}")):
                called = quick("runs", *arguments, *place, "--json")
                found.append((called.status, len(json.loads(called.out)["runs"])))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert found == [(0, listed)] * 6


@pytest.fixture
def database(quick: Command, tmp_path: Path) -> Path:
    """The project's runs in a database."""
    path = tmp_path / "runs.db"
    assert quick("db", "copy", "--from", ".run_log_store", "--to", f"sqlite:///{path}").status == 0
    return path


@pytest.mark.parametrize("days", ["1e400", "nan", "-1", "1e10"])
def test_an_age_that_is_none_deletes_nothing(quick: Command, database: Path, days: str) -> None:
    """It is refused in one line."""
    called = quick("db", "prune", "--days", days, "--source", f"sqlite:///{database}")
    assert (called.status, called.err) == (2, "error: --days: must be from 0 to 36500\n")


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        ("$R runs > /dev/full", 1, FULL),
        ("$R show merry-heron-0702 --json > /dev/full", 1, FULL),
        ("$R trace-id x > /dev/full", 1, FULL),
        ("$R --help > /dev/full", 1, "error: [Errno 28] No space left on device; RUNLOG_OTEL_DEBUG=1 shows where\n"),
        ("$R nonsense 2> /dev/full", 2, ""),
        ("$R trace-id x >&-", 0, ""),
        ("$R trace-id x >&- 2>&- <&-", 0, ""),
        ("set -o pipefail; (sleep 0.1; $R runs) | true", 141, ""),
    ],
)  # fmt: skip
def test_output_that_cannot_be_written_is_told(project: Path, command: str, status: int, error: str) -> None:
    """A full device by a line, a reader that has had enough by the exit status alone."""
    assert run_in_shell(project, command) == (status, error)


def test_an_interrupt_is_silent(project: Path, database: Path) -> None:
    """Exit status 130, as of a shell, and nothing is done."""
    command = [sys.executable, "-m", "runlog_otel", "db", "delete", RUNS["job"], "--source", f"sqlite:///{database}"]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        asked = process.stderr.read(len("delete 1 runs"))
        process.send_signal(signal.SIGINT)
        assert (asked, process.wait(), "Traceback" in process.stderr.read()) == ("delete 1 runs", 130, False)


@pytest.mark.parametrize(
    "command",
    [("check",), ("check", "--json"), ("export", RUNS["demo"])],
)
@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_SDK_DISABLED",
    ],
)
def test_a_variable_that_is_no_utf8_is_ignored(
    quick: Command, monkeypatch: pytest.MonkeyPatch, variable: str, command: tuple[str, ...]
) -> None:
    """As the specification asks; `check` says so."""
    monkeypatch.setenv(variable, "a=\udcff")
    called = quick(*command)
    is_check = command[0] == "check"
    is_read = variable not in ("OTEL_EXPORTER_OTLP_HEADERS",)  # the config has headers
    assert called.status == (1 if is_check and is_read else 0)
    assert (f"{variable} is ignored: it must be UTF-8" in called.out) == (is_check and is_read)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a document."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, key))


def with_value(document: Any, path: Sequence[Any], value: Any) -> Any:
    """A copy of a document with another value at a place."""
    if not path:
        return value
    copied = json.loads(json.dumps(document))
    inner = copied
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copied


@pytest.mark.parametrize("name", ["demo", "retried", "job", "magnus-nested", "magnus-older"])
def test_odd_logs_end_no_command(quick: Command, project: Path, name: str) -> None:
    """A wrong value at any place of a log: every command keeps on, prints one line, and strict JSON."""
    rng = random.Random(name)
    folder = project / "odd"
    folder.mkdir()
    log = json.loads((GOLDEN / f"{name}.log.json").read_text())
    cases = [(path, value) for path in places(log) for value in ODD_VALUES]
    for number, (path, value) in enumerate(rng.sample(cases, 50)):
        odd = with_value(log, path, value)
        if isinstance(odd, dict) and path != ("run_id",):
            odd["run_id"] = f"r{number}"
        (folder / f"r{number}.json").write_text(json.dumps(odd))
    for odd_name, text in ODD_FILES.items():
        (folder / f"{odd_name}.json").write_text(text)
    calls = [
        ("runs",), ("runs", "--json"), ("runs", "--compare"), ("runs", "--compare", "--json"),
        ("export", "--all", "--dry-run"), ("export", "--all", "--json"),
    ]  # fmt: skip
    files = rng.sample(sorted(folder.iterdir()), 6)
    calls += [
        (kind, str(file), *as_json) for file in files for kind in ("show", "audit") for as_json in ((), ("--json",))
    ]
    for call in calls:
        called = quick(*call, "--source", "odd")
        assert called.status in (0, 1, 2), (call, called)
        assert "unexpected" not in called.err, (call, called.err)
        assert (called.out + called.err).replace("\n", "").isprintable(), call
        if "--json" in call and called.out:
            json.loads(called.out, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "config",
    [
        "run-log-store: {type: [}",
        "run-log-store: [1]",
        "run-log-store: {type: otel, config: 5}",
        "run-log-store: {type: [x], config: {}}",
        "run-log-store: {type: otel, config: {inner: 5}}",
        "run-log-store: {type: otel, config: {inner: {type: file-system}, telemetry: 5}}",
        "run-log-store: {type: otel, config: {inner: {type: file-system}, telemetry: {sample: .nan}}}",
        "run-log-store: {type: otel, config: {inner: {type: file-system}, telemetry: {timeout_seconds: []}}}",
        "run-log-store: {type: '[/x]\x1b[31m', config: {}}",
        "a: " + "[" * 3000,
        "x: &a [*a]",
        "\0",
    ],
)
@pytest.mark.parametrize("command", [("check",), ("runs",), ("show", "x")])
def test_odd_configs_are_told_in_one_line(quick: Command, project: Path, config: str, command: tuple[str, ...]) -> None:
    """What is wrong, and in which file or setting."""
    (project / "odd.yaml").write_text(config)
    called = quick(*command, "--config", "odd.yaml")
    assert called.status in (0, 1, 2), called
    assert called.err.count("\n") == (1 if called.status == 2 else 0)
    assert "unexpected" not in called.err
    assert (called.out + called.err).replace("\n", "").isprintable()


def test_who_asks_is_shown_where_it_failed(quick: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback, with secrets masked, after `RUNLOG_OTEL_DEBUG=1`; one line without it."""
    call = ("show", "x", "--source", "postgresql://user:hunter2@127.0.0.1:1/[")
    assert quick(*call).err.count("\n") == 1
    monkeypatch.setenv("RUNLOG_OTEL_DEBUG", "1")
    shown = quick(*call).err
    assert "Traceback (most recent call last):\n" in shown
    assert "hunter2" not in shown
