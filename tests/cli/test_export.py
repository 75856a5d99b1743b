"""`runlog-otel export`: runs are sent from their logs, whole, and again when asked."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runlog_otel.cli.export import Selection, export_runs
from runlog_otel.cli.loading import own_outbox, sources
from runlog_otel.core.model import Run
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files
from runlog_otel.sources.listing import Listing
from runlog_otel.stores.sql.history import RunFilter
from tests.calls import Called, Command
from tests.cli.conftest import GOLDEN, RUNS
from tests.exporters.spans import Backend, backend, refusing


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as running:
        yield running


def expected(*names: str) -> list[str]:
    """The names of the spans of these recorded runs."""
    found = []
    for name in names:
        document = json.loads((GOLDEN / f"{name}.spans.json").read_text())
        found += [span["name"] for execution in document["executions"] for span in execution["spans"]]
    return sorted(found)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((RUNS["demo"],), ["demo"]),
        ((RUNS["demo"], RUNS["job"]), ["demo", "job"]),
        (("--all",), ["demo", "job", "retried"]),
        (("--since", "5m"), ["demo", "job", "retried"]),
        ((str(GOLDEN / "retried.log.json"),), ["retried"]),
    ],
)
def test_runs_are_sent_whole(command: Command, server: Backend, arguments: tuple[str, ...], names: list[str]) -> None:
    """By id, by file, by age, or all of them."""
    called = command("export", *arguments, "--endpoint", server.url)
    assert (called.status, called.err) == (0, "")
    assert sorted(server.span_names()) == expected(*names)
    assert called.out == f"{len(names)} runs, {len(expected(*names))} spans acknowledged by {server.url}\n"


def test_since_looks_at_when_a_run_was_written(command: Command, server: Backend, project: Path) -> None:
    """An old run is not among those of the last hour."""
    old = time.time() - 7200
    os.utime(project / ".run_log_store" / f"{RUNS['demo']}.json", (old, old))
    command("export", "--since", "1h", "--endpoint", server.url)
    assert sorted(server.span_names()) == expected("job", "retried")


def test_a_dry_run_sends_nothing(command: Command, server: Backend) -> None:
    """It says what it would send."""
    called = command("export", "--all", "--dry-run", "--endpoint", server.url)
    assert (called.status, server.requests) == (0, [])
    assert f"{RUNS['retried']}  2 executions  {len(expected('retried'))} spans" in called.out.splitlines()


def test_what_is_not_acknowledged_is_remembered_and_sent_later(
    command: Command, server: Backend, project: Path
) -> None:
    """Exit status 1; then `--unsent` sends it and forgets it."""
    server.status = 400
    called = command("export", RUNS["demo"], "--endpoint", server.url)
    assert called.status == 1
    assert called.err == f"error: {RUNS['demo']}: export to {server.url} failed: HTTP 400\n"
    outbox = Outbox(project / ".runlog-otel" / "unsent")
    assert [unsent.run_id for unsent in outbox] == [RUNS["demo"]]
    assert command("export", "--unsent", "--dry-run").out.startswith(RUNS["demo"])
    server.status = 200
    server.requests.clear()
    assert command("export", "--unsent", "--endpoint", server.url).status == 0
    assert sorted(server.span_names()) == expected("demo")
    assert list(outbox) == []


@pytest.mark.parametrize("exporter", ["none", "none,None"])
def test_an_exporter_that_sends_nothing_acknowledges_nothing(
    command: Command, server: Backend, project: Path, monkeypatch: pytest.MonkeyPatch, exporter: str
) -> None:
    """One line says so, and the outbox stays as it is; an endpoint on the command line is sent to all the same."""
    outbox = Outbox(project / ".runlog-otel" / "unsent")
    outbox.add(RUNS["demo"], "HTTP 503")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", exporter)
    for arguments in (("--unsent",), (RUNS["demo"],), ("--all", "--dry-run"), ("--unsent", "--json")):
        called = command("export", *arguments)
        assert (called.status, called.out) == (2, "")
        assert called.err == (
            f"error: telemetry.exporter: nothing would be sent: it is {exporter} (from: OTEL_TRACES_EXPORTER); "
            "--endpoint URL sends anyway\n"
        )
    assert [unsent.run_id for unsent in outbox] == [RUNS["demo"]]
    called = command("export", "--unsent", "--endpoint", server.url)
    assert (called.status, sorted(server.span_names()), list(outbox)) == (0, expected("demo"), [])
    assert called.out == f"1 runs, {len(expected('demo'))} spans acknowledged by {server.url}\n"


def test_spans_that_are_too_large_are_named_and_the_rest_is_sent(
    command: Command, server: Backend, project: Path
) -> None:
    """Of each run, however many have some; they stay unsent, as the backend may take them after a change."""
    server.act = refusing(700)
    called = command("export", RUNS["demo"], RUNS["retried"], "--endpoint", server.url)
    assert called.status == 1
    names = server.span_names()
    refused = len(expected("demo", "retried")) - len(names)
    assert refused > 0
    lines = called.err.splitlines()
    assert [line.partition(" too large")[0].rpartition(":")[0] for line in lines] == [
        f"error: {RUNS[name]}: export to {server.url} failed" for name in ("demo", "retried")
    ]
    told = [int(line.partition("failed: ")[2].partition(" span")[0]) for line in lines]
    assert sum(told) == refused
    assert all(line.endswith(f"export --forget {RUNS[n]}") for line, n in zip(lines, ("demo", "retried"), strict=True))
    assert {unsent.run_id for unsent in Outbox(project / ".runlog-otel" / "unsent")} == {RUNS["demo"], RUNS["retried"]}


def test_what_serve_has_of_one_of_several_sources_is_sent_by_hand(
    command: Command, server: Backend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has an outbox of its own, which its URL finds."""
    monkeypatch.chdir(project)
    first, second = (Outbox(source.settings.outbox) for source in sources([".run_log_store", "sqlite:///other.db"], ""))
    first.add(RUNS["demo"], "HTTP 503")
    second.add("elsewhere", "HTTP 503")
    called = command("export", "--unsent", "--source", ".run_log_store", "--endpoint", server.url)
    assert (called.status, sorted(server.span_names())) == (0, expected("demo"))
    assert (list(first), [unsent.run_id for unsent in second]) == ([], ["elsewhere"])


def test_a_backend_that_is_busy_is_asked_again(command: Command, server: Backend) -> None:
    """503 now, 200 a second later."""

    def recover(_: object) -> bool:
        server.status = 200 if server.requests else 503
        return False

    server.act = recover
    assert command("export", RUNS["job"], "--endpoint", server.url).status == 0
    assert len(server.requests) == 2


def test_a_run_that_goes_on_is_not_closed(command: Command, server: Backend, project: Path) -> None:
    """What is final goes out; `--abandoned` closes it."""
    log = json.loads((GOLDEN / "demo.log.json").read_text())
    log |= {"status": "PROCESSING", "run_id": "going"}
    del log["steps"]["success"]
    (project / ".run_log_store" / "going.json").write_text(json.dumps(log))
    called = command("export", "going", "--endpoint", server.url)
    assert (called.status, "RUN pipeline.main" in server.span_names()) == (0, False)
    assert called.err == "going  has not ended: only its final parts are sent; --abandoned or --as closes it\n"
    command("export", "going", "--abandoned", "--endpoint", server.url)
    assert server.span_names().count("RUN pipeline.main") == 1


def test_json_tells_machines_what_became_of_each_run(command: Command, server: Backend) -> None:
    """Problems are in it too."""
    called = command("export", RUNS["job"], "nope", "--json", "--endpoint", server.url)
    found = json.loads(called.out)
    assert (called.status, called.err) == (1, "")
    assert [(run["run_id"], run["is_acknowledged"], bool(run["problem"])) for run in found["runs"]] == [
        (RUNS["job"], True, False),
        ("nope", False, True),
    ]


def test_a_damaged_log_costs_no_other_run_its_place(command: Command, server: Backend, project: Path) -> None:
    """One line says which it was."""
    (project / ".run_log_store" / "bad.json").write_text('{"run_id": ')
    called = command("export", "--all", "--endpoint", server.url)
    assert (called.status, called.err.count("\n")) == (1, 1)
    assert called.err.startswith("error: bad: the log of 'bad' is not a run log:")
    assert sorted(server.span_names()) == expected("demo", "job", "retried")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: export: say which runs"),
        (("--since", "yesterday"), "error: --since: 'yesterday' is not an age"),
        (("x", "--endpoint", "ftp://x"), "error: run-log-store.config.telemetry.endpoint: must be http://host:port"),
    ],
)
def test_a_wrong_call_is_one_line(command: Command, arguments: tuple[str, ...], message: str) -> None:
    """Exit status 2, nothing sent."""
    called = command("export", *arguments)
    assert (called.status, called.err.count("\n")) == (2, 1)
    assert called.err.startswith(message)


def test_a_run_whose_log_is_gone_is_forgotten(quick: Command, project: Path) -> None:
    """`--unsent` says how; `--forget` takes it off the list, in every outbox, and doing it again changes nothing."""
    folder = project / ".runlog-otel" / "unsent"
    outboxes = [Outbox(folder), Outbox(own_outbox(folder, ".run_log_store"))]
    for outbox in outboxes:
        outbox.add("it's gone", "HTTP 503")
        outbox.add("stays", "HTTP 503")
    forget = ("export", "--forget", "it's gone", "--source", ".run_log_store")
    refused = quick("export", "--unsent", "--source", ".run_log_store", "--endpoint", "file:///dev/null")
    assert (refused.status, refused.err.splitlines()[0]) == (
        1,
        f"error: it's gone: run \"it's gone\" is not in {project / '.run_log_store'}; `runlog-otel check` shows "
        "which store the config names; if it is gone for good: runlog-otel export --forget 'it'\"'\"'s gone'",
    )
    assert quick(*forget, "--dry-run") == Called(0, "it's gone: would be forgotten\n", "")
    assert [len(list(outbox)) for outbox in outboxes] == [2, 2]
    called = quick(*forget, "--json")
    assert (called.status, json.loads(called.out)) == (
        0,
        {"runs": [{"run_id": "it's gone", "was_remembered": True}], "is_dry_run": False},
    )
    assert [[marker.run_id for marker in outbox] for outbox in outboxes] == [["stays"], ["stays"]]
    assert quick(*forget) == Called(0, "it's gone: was not remembered as unsent\n", "")


def test_forgetting_needs_no_source_and_sends_nothing(quick: Command) -> None:
    """The folder may be gone as well; with other runs in the same call it is refused."""
    called = quick("export", "--forget", "a", "--source", "/nowhere", "--json")
    assert (called.status, json.loads(called.out)["runs"]) == (0, [{"run_id": "a", "was_remembered": False}])
    assert quick("export", "--forget", "a", "--all") == Called(
        2, "", "error: --forget: sends nothing; do not select other runs in the same call\n"
    )


class Brittle(Files):
    """Somebody else's source, that raises what nobody foresaw for some runs."""

    def run(self, run_id: str) -> Run:
        """Whether it is odd follows from its name."""
        if run_id.startswith("odd"):
            raise KeyError("no such column\n\x1b[2K, password=hunter2")
        return super().run(run_id)


def test_odd_runs_do_not_keep_the_others_from_being_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many there are in a row: each is told, and the exit status is 1."""
    shutil.copy(GOLDEN / "demo.log.json", tmp_path / f"{RUNS['demo']}.json")
    source = Brittle(tmp_path, Settings.load({"endpoint": (tmp_path / "traces.jsonl").as_uri()}, {}))
    selection = Selection(("odd1", "odd2", "odd3", "odd4", RUNS["demo"]))
    status = export_runs(source, selection, [tmp_path / "unsent"], close=False, dry_run=False, as_json=True)
    runs = json.loads(capsys.readouterr().out)["runs"]
    problem = "unexpected KeyError: 'no such column\\n\\x1b[2K, password=********'; RUNLOG_OTEL_DEBUG=1 shows where"
    assert (status, [(run["run_id"], run["is_acknowledged"], run["problem"]) for run in runs]) == (
        1,
        [*((f"odd{number}", False, problem) for number in range(1, 5)), (RUNS["demo"], True, "")],
    )


def test_odd_runs_do_not_keep_the_others_from_being_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each is told, and counted."""
    for name in (RUNS["demo"], "odd"):
        shutil.copy(GOLDEN / "demo.log.json", tmp_path / f"{name}.json")
    listing = Listing(Brittle(tmp_path, Settings.load({}, {})))
    page = listing.page(RunFilter())
    assert [run.run_id for run in page.runs] == [RUNS["demo"]]
    assert (page.unread, [record.getMessage() for record in caplog.records]) == (
        ("odd",),
        ["odd is not listed: KeyError: 'no such column\\n\\x1b[2K, password=********'"],
    )


@pytest.mark.parametrize(
    "arguments", [("runs", "--json"), ("runs", "--compare", "--json"), ("export", "--all", "--json")]
)
def test_what_a_command_passes_over_is_in_its_exit_status(
    quick: Command, project: Path, arguments: tuple[str, ...]
) -> None:
    """Deep nesting, a list, half a file: the three others are there."""
    store = project / ".run_log_store"
    (store / "deep.json").write_text('{"a":' * 5000 + "1" + "}" * 5000)
    (store / "list.json").write_text("[]")
    (store / "half.json").write_text('{"run_id": "ha')
    called = quick(*arguments)
    document = json.loads(called.out)
    done = document if isinstance(document, list) else [run for run in document["runs"] if not run.get("problem")]
    assert (called.status, sorted(run["run_id"] for run in done)) == (1, sorted(RUNS.values()))
    assert "unexpected" not in called.out + called.err
