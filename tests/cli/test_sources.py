"""Every command on sources that are named by a URL."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import RUNS
from tests.sources.db_logs import DbLogTable, fill_with_anomalies, golden
from tests.sources.histories import fill_table, history

NESTED, REGIONS, AGAIN = (golden(name)["run_id"] for name in ("nested", "regions", "again"))


@pytest.fixture(params=["sqlite", "postgres"])
def magnus(request: pytest.FixtureRequest, project: Path) -> Iterator[str]:
    """The URL of a `db_log` with its anomalies."""
    is_sqlite = request.param == "sqlite"
    url = "sqlite:///magnus.db" if is_sqlite else str(request.getfixturevalue("postgres").create_database())
    table = DbLogTable(f"sqlite:///{project}/magnus.db" if is_sqlite else url)
    fill_with_anomalies(table)
    yield f"db-log+{url}"
    table.close()


def test_a_db_log_is_listed_shown_compared_and_exported(magnus: str, command: Command) -> None:
    """As any store; its duplicates are told where they are read."""
    listed = json.loads(command("runs", "--source", magnus, "--json").out)["runs"]
    assert [(run["run_id"], run["source"], run["status"]) for run in listed] == [
        (AGAIN, "magnus", golden("again")["status"]),
        (NESTED, "magnus", golden("nested")["status"]),
        (REGIONS, "magnus", golden("regions")["status"]),
    ]
    shown = command("show", "--source", magnus, "--json", NESTED)
    by_file = command("show", "--json", str(Path(__file__).parents[1] / "golden" / "magnus-nested.log.json"))
    assert json.loads(shown.out) == json.loads(by_file.out)
    assert f"2 duplicate rows of run {NESTED}; the newest count" in shown.err
    compared = json.loads(command("runs", "--source", magnus, "--compare", "--json", NESTED).out)
    assert [column["run_id"] for column in compared] == [NESTED]
    exported = command("export", "--source", magnus, "--all", "--endpoint", "file:///dev/null", "--dry-run")
    assert (exported.status, exported.out.splitlines()[-1].partition(" runs")[0]) == (0, "3")


def test_a_db_log_is_copied_to_our_store_and_back(magnus: str, command: Command) -> None:
    """Verified run by run; again, there is nothing to do; a team can go back into another table, which is made."""
    back = f"{magnus}{'&' if '?' in magnus else '?'}table=back"
    for source, target in ((magnus, "sqlite:///ours.db"), ("sqlite:///ours.db", back)):
        copied = command("db", "copy", "--from", source, "--to", target)
        assert (copied.status, copied.out) == (0, "3 copied, 0 there, 0 differs, 0 failed\n")
        again = command("db", "copy", "--from", source, "--to", target)
        assert (again.status, again.out) == (0, "0 copied, 3 there, 0 differs, 0 failed\n")
    first, last = (command("show", "--source", url, "--json", NESTED).out for url in (magnus, back))
    assert json.loads(first) == json.loads(last)
    ours, theirs = (
        command("runs", "--source", url, "--compare", "--json", NESTED).out for url in ("sqlite:///ours.db", back)
    )
    assert json.loads(ours) == json.loads(theirs)


def test_runs_go_between_a_config_and_a_url(project: Path, command: Command) -> None:
    """A host's store on the one side, none on the other; what can take no run log says so."""
    out = command("db", "copy", "--from", "runnable-config.yaml", "--to", "db-log+sqlite:///kept.db")
    assert (out.status, out.out) == (0, "3 copied, 0 there, 0 differs, 0 failed\n")
    (project / "other.yaml").write_text("run-log-store: {type: file-system, config: {log_folder: other}}")
    back = command("db", "copy", "--from", "db-log+sqlite:///kept.db", "--to", "other.yaml")
    assert (back.status, back.out) == (0, "3 copied, 0 there, 0 differs, 0 failed\n")
    refused = command("db", "copy", "--from", "runnable-config.yaml", "--to", ".run_log_store")
    assert refused.status == 2
    assert "takes no run logs; name a config file or a database" in refused.err


def test_constellation_is_listed_shown_and_exported(project: Path, command: Command) -> None:
    """By status and pipeline, too; there are no run logs to compare or to copy."""
    fill_table(f"sqlite:///{project}/flows.db", history())
    source = ("--source", "constellation+sqlite:///flows.db")

    def listed(*options: str) -> list[str]:
        return [run["run_id"] for run in json.loads(command("runs", *source, "--json", *options).out)["runs"]]

    assert listed() == ["wide", "running", "failed", "completed"]
    assert listed("--status", "FAIL") == listed("--failure", "no CUSTOMER") == ["failed"]
    assert listed("--pipeline", "enrich", "completed", "wide") == ["completed"]
    page = json.loads(command("runs", *source, "--json", "--limit", "3").out)
    assert listed("--limit", "3", "--after", page["after"]) == ["completed"]
    assert "running" in command("show", *source, "running").out
    assert command("export", *source, "failed", "--endpoint", "file:///dev/null").out.startswith("1 runs, 6 spans")
    for refused in (
        command("runs", *source, "--compare"),
        command("db", "copy", "--from", source[1], "--to", "sqlite:///x"),
    ):
        assert refused.status == 2
        assert "has no run logs of runnable or magnus" in refused.err


def test_a_run_that_cannot_be_read_is_told_where_runs_are_listed(project: Path, command: Command) -> None:
    """The others are listed; a list that is merely shorter would be taken for all there is."""
    (project / ".run_log_store" / "torn.json").write_text('{"run_id": "to')
    done = command("runs", "--source", ".run_log_store", "--json")
    assert {run["run_id"] for run in json.loads(done.out)["runs"]} == set(RUNS.values())
    assert (done.status, done.err.startswith("torn is not listed: "), done.err.count("\n")) == (1, True, 1)


def test_a_config_gives_settings_and_not_runs(project: Path, command: Command) -> None:
    """With both options the runs are the source's, the endpoint the config's; the host's store is listed by a path."""
    options = ("--source", str(project / ".run_log_store"), "--config", "runnable-config.yaml")
    done = command("export", *options, RUNS["demo"])
    assert (done.status, "acknowledged by file:" in done.out) == (0, True)
    assert (project / "traces.jsonl").exists()
    assert [run["run_id"] for run in json.loads(command("runs", "--json").out)["runs"]].count(RUNS["job"]) == 1


def test_a_wrong_source_is_one_line(command: Command) -> None:
    """Exit status 2, as for any config that is wrong."""
    done = command("show", "--source", "constellation+http://:hunter2@127.0.0.1:1", "r")
    assert done.status == 2
    assert done.err.startswith("error: constellation+http://127.0.0.1:1: cannot be reached: ")
    assert (done.err.count("\n"), "hunter2" in done.err) == (1, False)


@pytest.mark.parametrize("arguments", [["runs"], ["show", "r"]], ids=" ".join)
def test_a_bucket_out_of_reach_is_one_line(command: Command, project: Path, arguments: list[str]) -> None:
    """Whatever the host's store raises: `serve` goes on, and asks again."""
    inner = {"type": "minio", "config": {"endpoint_url": "http://127.0.0.1:9", "bucket": "runs"}}
    config = {"run-log-store": {"type": "otel", "config": {"inner": inner, "telemetry": {"exporter": "none"}}}}
    (project / "runnable-config.yaml").write_text(json.dumps(config))
    done = command(*arguments)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("error: minio store runs: cannot be read: ")


def test_a_source_that_is_named_twice_is_refused(command: Command) -> None:
    """Its runs would be counted by two."""
    done = command("serve", "--source", ".run_log_store", "--source", "./.run_log_store/")
    assert (done.status, done.err.endswith(".run_log_store is named twice\n")) == (2, True)
