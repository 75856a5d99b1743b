"""PostgreSQL databases of three encodings keep every text of a run: nothing raises out of one."""

from collections.abc import Iterator
from typing import Any

import pytest

from runlog_otel.core.redaction import bounded
from runlog_otel.errors import StoreError
from runlog_otel.settings import Settings
from runlog_otel.sources.port import RunLogTarget
from runlog_otel.sources.sql import source_from_url
from runlog_otel.stores.sql.check import problems
from runlog_otel.stores.sql.database import Database
from runlog_otel.stores.sql.history import RunFilter, RunHistory
from runlog_otel.stores.sql.retention import delete_runs
from runlog_otel.stores.sql.store import SqlStore
from runlog_otel.stores.sql.upgrade import create_tables
from tests.peers.postgres import Postgres
from tests.stores.conftest import run, step

TEXTS = {
    "ascii": "plain",
    "latin": "Zürich\xa0é",
    "euro": "5 €",
    "emoji": "🚀 load",
    "surrogate": "a\ude00\ud83db\udfff",
    "NUL": "a\x00b",
    "escapes": "\\u00e9 \\x41 \\U0001f600 \\",
}
ENCODINGS = ["UTF8", "SQL_ASCII", "LATIN1", "WIN1252", "EUC_TW"]


@pytest.fixture(scope="module", params=ENCODINGS)
def store(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[SqlStore]:
    """A store in a database of that encoding; each test leaves it empty."""
    url = postgres.create_database(request.param)
    create_tables(url)
    opened = SqlStore(Database(url), source="test")
    yield opened
    opened.database.close()


def document_with(text: str) -> dict[str, Any]:
    """A run that has the text wherever a user's text goes."""
    inner = f"{text}.1"
    branch = {
        "internal_name": inner,
        "status": "SUCCESS",
        "steps": {f"{inner}.{text}": {**step(text), "internal_name": f"{inner}.{text}"}},
        "parameters": {text: {"value": text}},
    }
    steps = {
        text: {**step(text, "FAIL", f"said {text}"), "step_type": text, "branches": {inner: branch}},
        f"x{text}": step(f"x{text}"),
    }
    return run(
        text,
        tag=text,
        original_run_id=text,
        steps=steps,
        parameters={text: text},
        run_config={text: text},
        job={"status": "FAIL", "message": text, "attempts": []},
    )


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_kept(store: SqlStore, text: str) -> None:
    """As run id, step, branch, step type, parameter, config key, tag, pipeline, failure and original run."""
    document = document_with(text)
    store.create({"run_id": text, "status": "PROCESSING", "original_run_id": text})
    store.put(document, pipeline=text)
    store.set_parameters(text, {text: "again"}, f"{text}.1")
    assert store.step(text, text) == {**document["steps"][text], "branches": {}}
    assert store.parameters(text, f"{text}.1") == {text: "again"}
    history = RunHistory(store)
    said = f"said {bounded(text, 99)}"  # what was said is kept without lone surrogates
    (found,) = history.page(RunFilter([text], tag=text, pipeline=text, failure=said)).runs
    assert (found.run_id, found.tag, found.pipeline, found.original_run_id) == (text,) * 4
    assert [stored.run_id for stored in history.changed(0)] == [text]
    document["steps"][text]["branches"][f"{text}.1"]["parameters"] = {text: "again"}
    assert store.document(text) == document
    assert problems(store.database) == []
    assert delete_runs(store.database, [text]) == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_search_for_text_that_no_run_has_finds_none(store: SqlStore, text: str) -> None:
    """Whether the database's encoding has its characters or not."""
    store.put(run("r"))
    for wanted in (RunFilter([text]), RunFilter(tag=text), RunFilter(pipeline=text), RunFilter(failure=text)):
        assert RunHistory(store).page(wanted).runs == ()
    assert delete_runs(store.database, ["r"]) == 1


def test_a_copy_into_a_narrow_encoding_reads_back(postgres: Postgres) -> None:
    """As `db copy` does it."""
    source = source_from_url(postgres.create_database("LATIN1"), Settings())
    assert isinstance(source, RunLogTarget)
    source.prepare()
    for text in TEXTS.values():
        source.put(document_with(text))
        assert source.document(text) == document_with(text)
    source.close()


def test_a_text_that_a_foreign_table_cannot_hold_is_one_line(postgres: Postgres) -> None:
    """It is not ours to escape there."""
    database = Database(postgres.create_database("LATIN1"), is_foreign=True)
    for text, told in (("🚀", "has no equivalent in encoding"), ("\ud800", "its encoding cannot hold a text: 'utf-8'")):
        statement = "SELECT CAST(%(text)s AS text)"
        with pytest.raises(StoreError) as caught:
            database.read(lambda connection: connection.exec_driver_sql(statement, {"text": text}))  # noqa: B023
        assert told in str(caught.value)
    database.close()
