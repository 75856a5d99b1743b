"""Secrets that stand wherever a user can put them: none leaves, and none is written down on the wrapper's account."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.e2e.backend import backend, closed, healthy
from tests.e2e.serving import Serve
from tests.hosts.project import LOCAL, PARALLEL, Done, Project
from tests.peers.loopback import HOST, free_ports

RUN = "r"
EXPOSED = "correct-horse-canary-4711"
FOLDER = "folder-canary-0815"
SHAPES = {
    "aws": "AKIACANARYCANARY7QXR",
    "github": "ghp_canary0canary1canary2canary3canary4",
    "jwt": "eyJjYW5hcnkiOiJ4In0.eyJjYW5hcnkiOiJjYW5hcnkifQ.canarycanarycanary",
    "openai": "sk-canary-canary-canary-canary-0000",
    "slack": "xoxb-0123456789-canarycanary",
    "stripe": "sk_live_canarycanarycanary00",
}
URL = "https://somebody:canary-of-a-url@example.org/path"
HEADER = "canary-of-a-header-3141"
PATTERN = "canary-of-a-pattern-2718"
PLACES: Mapping[str, Mapping[str, str]] = {
    "exposed": {
        **dict.fromkeys(("given", "output", "nested", "object", "metric", "value", "tag", "annotation"), EXPOSED),
        **dict.fromkeys(
            ("stdout", "stderr", "exception", "shell", "content", "event"), f"it is {EXPOSED}, as all know"
        ),
        "file": f"{EXPOSED}.txt",
    },
    "shaped": {
        "given": f"token={SHAPES['openai']}",
        "output": SHAPES["aws"],
        "nested": SHAPES["github"],
        "object": SHAPES["jwt"],
        "metric": f"Bearer {SHAPES['jwt']}",
        "value": SHAPES["stripe"],
        "tag": SHAPES["slack"],
        "stdout": URL,
        "stderr": f"cannot reach {URL} with password='canary of a password'",
        "exception": f"{URL}: 401 for Authorization: Basic Y2FuYXJ5OmNhbmFyeQ== ({PATTERN})",
        "shell": f"curl --token {SHAPES['slack']} {URL}",
        "content": SHAPES["aws"],
        "file": f"{SHAPES['github']}.txt",
        "annotation": SHAPES["slack"],
        "event": f"{URL} with api_key='canary of a key' and {PATTERN}",
    },
}
NEEDLES = (EXPOSED, FOLDER, HEADER, PATTERN, "canary", "Y2FuYXJ5")
DEBUG = """\
import logging
for name in ("runlog_otel", "httpcore"):
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(logging.FileHandler("debug.log"))
"""
COMMANDS = (
    ("show", RUN),
    ("show", RUN, "--json"),
    ("audit", RUN),
    ("audit", RUN, "--json"),
    ("runs",),
    ("runs", "--json"),
    ("runs", "--compare"),
    ("runs", "--compare", "--json"),
    ("check",),
    ("check", "--json"),
    ("export", "--all"),
    ("export", "--all", "--dry-run"),
    ("export", "--all", "--json"),
    ("trace-id", RUN),
    ("db", "stats"),
    ("db", "check"),
)

IN_ONE_PROCESS = """\
import json, sys
from runlog_otel.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, command
"""


def prepared(folder: Path, places: Mapping[str, str], executor: Mapping[str, Any], telemetry: Any) -> Project:
    """A project with the canaries in place; its database stands in a folder that is named by a secret."""
    project = Project(folder, "chunked-fs", executor)
    (folder / FOLDER).mkdir()
    (folder / "canaries.json").write_text(json.dumps(places), encoding="utf-8")
    (folder / "parameters.yaml").write_text(json.dumps({"given": places["given"]}), encoding="utf-8")
    (folder / "sitecustomize.py").write_text(DEBUG, encoding="utf-8")
    (folder / ".env").write_text(f"EXPOSED={EXPOSED}\nFOLDER={FOLDER}\nOTHER=other-canary\n", encoding="utf-8")
    inner = {"type": "sql", "config": {"connection_string": "sqlite:///${FOLDER}/runs.db"}}
    store = {"type": "otel", "config": {"inner": inner, "telemetry": telemetry}} if telemetry else inner
    config = {"run-log-store": store, "pipeline-executor": executor, "secrets": {"type": "dotenv"}}
    project.write_config(config)
    return project


def telemetry_to(url: str) -> dict[str, Any]:
    """Settings with a secret in each that can have one, that let all out that can be let out."""
    return {
        "endpoint": url.replace("://", "://somebody:canary-of-an-endpoint@"),
        "headers": {"authorization": f"Bearer {HEADER}"},
        "resource": {"deployment": f"token={SHAPES['openai']}", "api_key": "canary of no shape"},
        "redact": [PATTERN],
        "parameters": ["*"],
        "parameter_digests": True,
        "exit_budget_seconds": 60.0,
    }


def commanded(project: Project, places: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every command and what it prints.

    What a process learned of an exposed secret must not help the next command, so each has a process of its own; what
    is known by its shape needs no learning, so one process does for all.
    """
    path = str(project.folder)
    if places is PLACES["exposed"]:
        for command in COMMANDS:
            done = project.python("-m", "runlog_otel", *command, PYTHONPATH=path)
            yield " ".join(command), done.succeeded().output
    else:
        done = project.python("-c", IN_ONE_PROCESS, json.dumps(COMMANDS), PYTHONPATH=path)
        yield "all commands", done.succeeded().output


def found(text: str) -> list[str]:
    """The lines that a canary is found in."""
    return [line for line in text.splitlines() if any(needle.lower() in line.lower() for needle in NEEDLES)]


def run(project: Project) -> Done:
    """Run the pipeline to its failure."""
    done = project.run("leaky", RUN, PYTHONPATH=str(project.folder))
    assert done.returncode == 1, done.output
    return done


def served(project: Project) -> tuple[str, str]:
    """What a scrape gets of the run, in the format with exemplars, and what `serve` prints."""
    serve = Serve(project.folder, f"{HOST}:{free_ports(1)[0]}")
    serve.start()
    try:
        asked = Request(f"http://{serve.address}/metrics", headers={"Accept": "application/openmetrics-text"})
        with urlopen(asked, timeout=60) as answer:
            return answer.read().decode(), serve.output
    finally:
        serve.end()


def plain(text: str, folder: Path) -> Iterator[str]:
    """The lines that hold a canary, without what differs from run to run: times, folders, random parts of names."""
    text = text.replace(str(folder), "")
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?|\d\d:\d\d:\d\d|[0-9a-f]{40}", "<>", text)
    return (re.sub(r"\w{3}\.execution\.log", "", line).strip() for line in found(text))


@pytest.mark.parametrize("executor", [LOCAL, PARALLEL], ids=["local", "parallel"])
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_nothing_planted_leaves(tmp_path: Path, places: Mapping[str, str], executor: Mapping[str, Any]) -> None:
    """OTLP, outbox, debug logs and all that our commands print are free of canaries, live and at a replay."""
    captured: dict[str, str] = {}
    with backend(healthy) as server, closed() as nowhere:
        project = prepared(tmp_path / "up", places, executor, telemetry_to(server.url))
        run(project)
        live = server.spans_of(RUN)
        captured["OTLP, live"] = str([(span.resource, span.span) for span in live])
        captured |= commanded(project, places)
        captured["/metrics"], captured["serve"] = served(project)
        captured["OTLP, replayed"] = str([(span.resource, span.span) for span in server.acknowledged])
        assert server.spans_of(RUN) == live
        down = prepared(tmp_path / "down", places, executor, telemetry_to(nowhere))
        run(down)
        captured["export that fails"] = down.export("--unsent").output
        captured["outbox"] = json.dumps(down.unsent())
    for each in (project, down):
        captured[f"debug log of {each.folder.name}"] = (each.folder / "debug.log").read_text(encoding="utf-8")
    assert {name: found(text) for name, text in captured.items() if found(text)} == {}
    assert len(live) > 10
    assert "runlog.parameter.input.given" in captured["OTLP, live"]
    assert "********" in captured["OTLP, live"]
    assert 'key: "said"' in captured["OTLP, live"]
    assert captured["debug log of down"]


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_the_wrapper_writes_down_no_canary_that_the_host_does_not(tmp_path: Path, places: Mapping[str, str]) -> None:
    """In terminal and run log, a canary stands in no line where it does not stand without the wrapper."""
    with backend(healthy) as server:
        written = {}
        for name, telemetry in (("plain", None), ("wrapped", telemetry_to(server.url))):
            project = prepared(tmp_path / name, places, LOCAL, telemetry)
            output = run(project).output
            document = project.python("-c", READ, RUN).succeeded().output.rpartition("LOG ")[2]
            log = json.dumps(json.loads(document), indent=0)
            assert "other-canary" not in output + log, (
                "what a connection string's secret is looked up in is written down"
            )
            written[name] = {*plain(output, project.folder), *plain(log, project.folder)}
    assert written["wrapped"] - written["plain"] == set()
    assert written["plain"] != set()


READ = """\
import json, sys
from runlog_otel.hosts.runnable.stores import SqlRunLogStore
store = SqlRunLogStore(connection_string="sqlite:///folder-canary-0815/runs.db")
print("LOG " + json.dumps(store.get_run_log_by_id(sys.argv[1], full=True).model_dump(mode="json")))
"""
