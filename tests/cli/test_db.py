"""`runlog-otel db` and `runlog-otel runs`."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.calls import Command
from tests.cli.conftest import RUNS

NEWEST_FIRST = [RUNS["job"], RUNS["retried"], RUNS["demo"]]


@pytest.fixture
def sql(project: Path, command: Command) -> Command:
    """Calls `runlog-otel` in the project, whose runs were copied into a database that `sql.yaml` names."""
    (project / "files.yaml").write_text((project / "runnable-config.yaml").read_text())
    (project / "sql.yaml").write_text(
        "run-log-store: {type: sql, config: {connection_string: 'sqlite:///runs.db', retention_days: 0}}"
    )
    assert command("db", "upgrade", "-c", "sql.yaml").out == "sqlite:///runs.db: upgraded to version 0003\n"
    copied = command("db", "copy", "--from", "files.yaml", "--to", "sql.yaml")
    assert (copied.status, copied.out, copied.err) == (0, "3 copied, 0 there, 0 differs, 0 failed\n", "")
    return command


def listed(sql: Command, *arguments: str) -> list[str]:
    return [run["run_id"] for run in json.loads(sql("runs", "-c", "sql.yaml", "--json", *arguments).out)["runs"]]


def test_runs_are_listed_and_filtered(sql: Command) -> None:
    """Newest first; each option narrows the list."""
    assert listed(sql) == NEWEST_FIRST
    assert listed(sql, RUNS["demo"], RUNS["job"]) == [RUNS["job"], RUNS["demo"]]
    assert listed(sql, "--pipeline", "retried.main") == [RUNS["retried"]]
    assert listed(sql, "--status", "fail") == []
    assert listed(sql, "--until", "2000-01-01") == []
    assert listed(sql, "--failure", "publish did NOT succeed") == [RUNS["demo"]]


def test_pages_follow_each_other(sql: Command) -> None:
    """A page says where the next one begins, and every run id can be copied from it."""
    first = sql("runs", "-c", "sql.yaml", "--limit", "2").out
    *rows, more = first.splitlines()
    assert [row.split()[0] for row in rows[1:]] == NEWEST_FIRST[:2]
    assert listed(sql, "--limit", "2", "--after", more.split()[-1]) == NEWEST_FIRST[2:]


def test_runs_stand_side_by_side(sql: Command) -> None:
    """Steps and metrics are rows, runs are columns; a run without one has an empty cell."""
    (job, retried, demo) = json.loads(sql("runs", "-c", "sql.yaml", "--compare", "--json").out)
    assert [job["run_id"], retried["run_id"], demo["run_id"]] == NEWEST_FIRST
    assert (list(job["durations_seconds"]), job["metrics"]) == (["job"], {"score": 0.8})
    assert (demo["metrics"], demo["status"]) == ({"orders": 1200, "accuracy": 0.93}, "SUCCESS")
    table = sql("runs", "-c", "sql.yaml", "--compare").out.splitlines()
    assert table[0].split() == NEWEST_FIRST
    assert [row.split() for row in table if row.startswith("score")] == [["score", "0.8"]]


def test_critical_paths_are_added_up_from_a_database_as_from_files(sql: Command) -> None:
    """The runs are listed by a query, and read one by one."""
    arguments = ("runs", "--critical", "retried.main", "--json", "-c")
    assert json.loads(sql(*arguments, "sql.yaml").out)["executions"] == 2
    assert sql(*arguments, "sql.yaml").out == sql(*arguments, "files.yaml").out


def test_a_copy_is_resumed(sql: Command, project: Path) -> None:
    """What is there is skipped; what differs is told and left alone, until it is to be overwritten."""
    again = sql("db", "copy", "--from", "files.yaml", "--to", "sql.yaml", "--json")
    assert json.loads(again.out) == {"copied": 0, "there": 3, "differs": 0, "failed": 0, "problems": []}
    file = project / ".run_log_store" / f"{RUNS['job']}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "tag": "changed"}))
    differing = sql("db", "copy", "--from", "files.yaml", "--to", "sql.yaml")
    assert (differing.status, differing.out) == (1, "0 copied, 2 there, 1 differs, 0 failed\n")
    assert listed(sql, "--tag", "changed") == []
    merged = sql("db", "copy", "--from", "files.yaml", "--to", "sql.yaml", "--overwrite")
    assert (merged.status, merged.out) == (0, "1 copied, 2 there, 0 differs, 0 failed\n")
    assert listed(sql, "--tag", "changed") == [RUNS["job"]]


@pytest.mark.parametrize(
    "store", ["{type: chunked-fs, config: {log_folder: chunks}}", "{type: file-system, config: {log_folder: others}}"]
)
def test_runs_go_back_to_the_hosts_stores(sql: Command, project: Path, store: str) -> None:
    """From the database into files, verified, and skipped the second time."""
    (project / "others.yaml").write_text(f"run-log-store: {store}")
    first = sql("db", "copy", "--from", "sql.yaml", "--to", "others.yaml")
    second = sql("db", "copy", "--from", "sql.yaml", "--to", "others.yaml")
    assert (first.out, second.out) == (
        "3 copied, 0 there, 0 differs, 0 failed\n",
        "0 copied, 3 there, 0 differs, 0 failed\n",
    )


def test_an_unknown_run_is_not_copied(sql: Command) -> None:
    """It is told, and the exit status says that not all are there."""
    called = sql("db", "copy", "--from", "files.yaml", "--to", "sql.yaml", "absent")
    assert (called.status, called.out) == (1, "0 copied, 0 there, 0 differs, 1 failed\n")
    assert called.err == (
        "absent: run 'absent' is not in file-system store .run_log_store; "
        "`runlog-otel check` shows which store the config names\n"
    )


def test_old_runs_are_pruned(sql: Command) -> None:
    """A dry run says how many; a run of it deletes them, and stats remember."""
    missing = sql("db", "prune", "-c", "sql.yaml")
    assert (missing.status, missing.err) == (
        2,
        "error: --days: is required: retention_days is not set\n",
    )
    dry = sql("db", "prune", "--days", "0", "--dry-run", "--json", "-c", "sql.yaml")
    assert json.loads(dry.out) == {"runs": 3, "days": 0.0, "is_dry_run": True}
    assert listed(sql) == NEWEST_FIRST
    done = sql("db", "prune", "--days", "0", "-c", "sql.yaml")
    assert done.out == "3 runs were deleted: finished, and older than 0 days\n"
    stats = json.loads(sql("db", "stats", "--json", "-c", "sql.yaml").out)
    assert (stats["total"], stats["deleted"], stats["where"]) == (0, 3, "sqlite:///runs.db")


def test_runs_are_deleted_after_a_question(sql: Command) -> None:
    """Without an answer nothing goes."""
    asked = sql("db", "delete", RUNS["job"], "-c", "sql.yaml")
    assert (asked.status, listed(sql)) == (1, NEWEST_FIRST)
    assert sql("db", "delete", RUNS["job"], "--yes", "-c", "sql.yaml").out == "1 runs were deleted\n"
    assert listed(sql) == NEWEST_FIRST[1:]
    assert sql("db", "delete", "--all", "--yes", "-c", "sql.yaml").out == "2 runs were deleted\n"
    assert sql("db", "delete", "-c", "sql.yaml").err == "error: delete: name runs, or say --all\n"


def test_a_database_needs_no_config(command: Command, project: Path) -> None:
    """A URL is enough to make it and to look after it, under another name of its tables, too."""
    url = ("--source", "sqlite:///team.db?table=team")
    absent = command("db", "stats", *url)
    assert (absent.status, absent.err) == (1, "error: sqlite:///team.db: the file does not exist; check the path\n")
    assert command("db", "upgrade", *url).out == "sqlite:///team.db: upgraded to version 0003\n"
    assert command("db", "copy", "--from", ".run_log_store", "--to", url[1]).out.startswith("3 copied")
    assert json.loads(command("db", "stats", *url, "--json").out)["total"] == 3
    assert command("db", "check", *url).out == "sqlite:///team.db: nothing is wrong\n"
    assert command("db", "prune", *url).err == "error: --days: is required: retention_days is not set\n"
    assert command("db", "delete", RUNS["job"], "--yes", *url).out == "1 runs were deleted\n"
    assert command("db", "prune", *url, "--days", "0").out.startswith("2 runs were deleted")
    other = command("db", "stats", "--source", ".run_log_store")
    told = f"error: {project}/.run_log_store: is not a store of type sql; name one with --source or --config\n"
    assert (other.status, other.err) == (2, told)


def test_damage_is_found(sql: Command, project: Path) -> None:
    """Counts, parents and documents that do not fit are told, each in one line."""
    assert (sql("db", "check", "-c", "sql.yaml").out) == "sqlite:///runs.db: nothing is wrong\n"
    with sqlite3.connect(project / "runs.db") as database:
        run = database.execute("SELECT seq FROM runnable_logs WHERE run_id = ?", [RUNS["demo"]]).fetchone()[0]
        database.execute("UPDATE runnable_logs SET steps = 99 WHERE seq = ?", [run])
        database.execute("DELETE FROM runnable_logs_entries WHERE kind = 'branch' AND key = 'train.fit'")
        database.execute("UPDATE runnable_logs_entries SET body = '{' WHERE kind = 'config' AND key = 'tag'")
    database.close()
    found = sql("db", "check", "--json", "-c", "sql.yaml")
    problems = json.loads(found.out)["problems"]
    assert found.status == 1
    assert problems[0] == f"run {RUNS['demo']!r}: the list says 99 steps, 1 failed; there are 10, 1"
    assert problems[1].endswith("belongs to 'train.fit', which is not there")
    assert problems[-1].startswith("run ")
    assert problems[-1].endswith(
        "is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )


def test_damaged_logs_end_no_copy(command: Command, project: Path) -> None:
    """Each that is none is told and counted, by the URL of a folder and by the host's own store; the others arrive."""
    damaged = {
        "brace": "{",
        "list": "[]",
        "number": "5",
        "empty": "{}",
        "steps": '{"run_id": "steps", "steps": {"a": 5}}',
        "renamed": json.dumps({"run_id": RUNS["job"], "status": "FAIL", "steps": {}}),
        "deep": "[" * 100_000,
    }
    for name, text in damaged.items():
        (project / ".run_log_store" / f"{name}.json").write_text(text)
    for number, source in enumerate((".run_log_store", "runnable-config.yaml")):
        called = command("db", "copy", "--from", source, "--to", f"sqlite:///{number}.db", "--json")
        copied = json.loads(called.out)
        problems = {problem["run_id"]: problem["problem"] for problem in copied["problems"]}
        assert (called.status, copied["copied"], copied["failed"]) == (1, 3, len(damaged))
        assert problems.keys() == damaged.keys()
        assert f"its run_id is {RUNS['job']!r}" in problems["renamed"]
        assert all(problems.values())
        assert "Traceback" not in called.err
        with sqlite3.connect(project / f"{number}.db") as database:
            rows = database.execute("SELECT run_id, status FROM runnable_logs").fetchall()
        database.close()
        assert sorted(rows) == sorted((run_id, "SUCCESS") for run_id in RUNS.values())


def test_damaged_rows_end_no_command(sql: Command, project: Path) -> None:
    """Lists, comparisons and copies are of the other runs, and say which one is missing."""
    with sqlite3.connect(project / "runs.db") as database:
        job, header = (
            database.execute("SELECT seq FROM runnable_logs WHERE run_id = ?", [RUNS[name]]).fetchone()[0]
            for name in ("job", "retried")
        )
        database.execute("UPDATE runnable_logs_entries SET body = NULL, packed = x'ff' WHERE run_seq = ?", [job])
        database.execute("UPDATE runnable_logs SET header = '', tag = 'may be secret' WHERE seq = ?", [header])
    database.close()
    assert listed(sql) == NEWEST_FIRST
    compared = sql("runs", "-c", "sql.yaml", "--compare", "--json")
    assert [run["run_id"] for run in json.loads(compared.out)] == [RUNS["demo"]]
    assert compared.err.count(" is skipped: run ") == 2
    copied = sql("db", "copy", "--from", "sql.yaml", "--to", "sqlite:///other.db")
    assert (copied.status, copied.out) == (1, "1 copied, 0 there, 0 differs, 2 failed\n")
    checked = sql("db", "check", "-c", "sql.yaml")
    assert (checked.status, "Traceback" in checked.err) == (1, False)
    assert f"run {RUNS['retried']!r}: its header is not a run log: it is no JSON: Expecting value: " in checked.out
    assert f"run {RUNS['job']!r}: job '' is not a run log: Error -5 while decompressing data" in checked.out
    mended = sql("db", "copy", "--from", "files.yaml", "--to", "sql.yaml", "--overwrite", RUNS["job"], RUNS["retried"])
    assert (mended.status, mended.out) == (0, "2 copied, 0 there, 0 differs, 0 failed\n")
    assert sql("db", "check", "-c", "sql.yaml").out == "sqlite:///runs.db: nothing is wrong\n"


def test_what_is_no_database_is_told(sql: Command, project: Path) -> None:
    """One line and a status: 2 for the config, 1 for the database."""
    (project / "absent.yaml").write_text("run-log-store: {type: sql, config: {connection_string: 'sqlite:///no.db'}}")
    absent = sql("runs", "-c", "absent.yaml")
    assert (absent.status, absent.err) == (
        1,
        "error: sqlite:///no.db: the file does not exist; check connection_string\n",
    )
    assert not (project / "no.db").exists()
    files = sql("db", "stats", "-c", "files.yaml")
    told = "error: file-system store .run_log_store: is not a store of type sql; name one with --source or --config\n"
    assert (files.status, files.out, files.err) == (2, "", told)
    assert sql("runs", "-c", "sql.yaml", "--since", "yesterday").err == (
        "error: --since: 'yesterday' is neither an age (30m, 24h, 7d, 2w) nor a time\n"
    )


def test_a_password_is_in_no_output(sql: Command, project: Path) -> None:
    """A server that is not there, and a config that is wrong, are told without the password."""
    for extra in ("", ", retention_days: x"):
        config = f"{{connection_string: 'postgresql://u:canary-secret@127.0.0.1:1/d', timeout_seconds: 0.2{extra}}}"
        (project / "server.yaml").write_text(f"run-log-store: {{type: sql, config: {config}}}")
        for command in ("upgrade", "stats", "check"):
            called = sql("db", command, "--json", "-c", "server.yaml")
            assert called.status in (1, 2)
            assert called.err.startswith("error: ")
            assert "canary-secret" not in called.out + called.err


def test_the_other_commands_know_the_store(sql: Command) -> None:
    """Show and export read runs of the database as they read files."""
    assert json.loads(sql("show", RUNS["job"], "--json", "-c", "sql.yaml").out)["status"] == "SUCCESS"
