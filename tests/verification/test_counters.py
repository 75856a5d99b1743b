"""`runlog-otel verify --prometheus`: the counters of `serve` are compared with what the logs add up to."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from runlog_otel.core import semconv
from runlog_otel.core.points import Point, labels_of
from runlog_otel.exporters.metrics.series import SeriesTable
from runlog_otel.service.service import Resend, ServeOptions, Service
from runlog_otel.service.state import State
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files
from tests.calls import Command
from tests.verification.conftest import copies
from tests.verification.servers import Server
from tests.verification.test_verify import open_run

RUN = "cicd_pipeline_run_duration_seconds"


@pytest.fixture
def count(project: Path, server: Server) -> Iterator[Callable[..., SeriesTable]]:
    """Counts the runs of the project as `serve` does; the server has what it shows then."""
    services: list[Service] = []

    def counted(**options: object) -> SeriesTable:
        source = Files(project / ".run_log_store", Settings.load({"outbox": str(project / "other")}, {}))
        state = State(project / f"serve-{len(services)}.db")
        services.append(Service([source], state, ServeOptions(resend=Resend.NONE, **options)))  # type: ignore[arg-type]
        services[-1].poll()
        server.scrape(services[-1].table)
        return services[-1].table

    yield counted
    for service in services:
        service.close()


STEPS = {
    semconv.PIPELINE_NAME: "pipeline.main",
    semconv.TASK_NAME: "load orders",
    semconv.STEP_TYPE: "task",
    semconv.TASK_RESULT: "success",
}


def miscount(table: SeriesTable, server: Server, by: int) -> None:
    """Count a step too much, or too little."""
    table.add([Point(semconv.STEP_RESULTS, labels_of(semconv.STEP_RESULTS, STEPS), by)])
    server.scrape(table)


def test_counters_that_are_right(command: Command, count: Callable[..., SeriesTable], server: Server) -> None:
    """Of all runs, and of some of them."""
    count()
    for runs in (["--all"], ["a"], ["--since", "30d"], ["--all", "--limit", "1"]):
        called = command("verify", *runs, "--prometheus", server.url, "--wait", "0s")
        assert (called.status, called.out.splitlines()[-1].endswith(": 0 not as the logs say")) == (0, True)


@pytest.mark.parametrize("by", [1, -1])
def test_a_counter_that_is_off_by_one_is_found(
    command: Command, count: Callable[..., SeriesTable], server: Server, by: int
) -> None:
    """And no other: with its labels, what it reads, and what the logs add up to."""
    miscount(count(), server, by)
    called = command("verify", "--all", "--prometheus", server.url, "--wait", "0s", "--json")
    ((counter,),) = [called.document["counters"]]
    assert (called.status, counter["sample"], counter["labels"]) == (
        1,
        "runlog_step_results_total",
        {name.replace(".", "_"): value for name, value in STEPS.items()},
    )
    assert counter["actual"] - counter["by_logs_at_least"] == by
    text = command("verify", "--all", "--prometheus", server.url, "--wait", "0s")
    assert text.out.startswith('counter runlog_step_results_total{cicd_pipeline_name="pipeline.main",')


def test_of_some_runs_a_counter_may_have_more(
    project: Path, command: Command, count: Callable[..., SeriesTable], server: Server
) -> None:
    """Others add to it as well; less than theirs is found."""
    copies(project / ".run_log_store", "demo", "more")
    count()
    assert command("verify", "a", "b", "--prometheus", server.url, "--wait", "0s").status == 0
    copies(project / ".run_log_store", "demo", "x", "y", "z")
    called = command("verify", "a", "b", "x", "y", "z", "--prometheus", server.url, "--wait", "0s")
    assert called.status == 1
    assert f"counter {RUN}_count{{" in called.out


def test_a_run_that_is_not_counted_yet_is_waited_for(
    command: Command, count: Callable[..., SeriesTable], server: Server
) -> None:
    """`serve` and Prometheus look now and then: the counters of the second look have it."""
    count()
    verify = ("verify", "--since", "30d", "--prometheus", server.url)
    command(*verify)
    looked = len(server.asked)
    empty = json.dumps({"data": {"result": []}}).encode()
    server.fails["/api/v1/query"] = [(200, "application/json", empty)] * looked
    assert command(*verify, "--wait", "60s").status == 0
    assert len(server.asked) == looked + 2 * looked - 1


def test_a_run_that_was_closed_as_abandoned_may_be_counted(
    project: Path, command: Command, count: Callable[..., SeriesTable], server: Server
) -> None:
    """Or not yet: the logs say neither."""
    open_run(project, "a")
    for hours in (24, 0):
        table = count(abandoned_after=timedelta(hours=hours))
        assert command("verify", "--all", "--prometheus", server.url, "--wait", "0s").status == 0
    miscount(table, server, 1)
    assert command("verify", "--all", "--prometheus", server.url, "--wait", "0s").status == 1


def test_label_sets_that_overflowed_are_added_up(
    command: Command, count: Callable[..., SeriesTable], server: Server
) -> None:
    """A `serve` with a limit has the same sums."""
    table = count(max_series=2)
    assert command("verify", "--all", "--prometheus", server.url, "--wait", "0s").status == 0
    miscount(table, server, 1)
    assert command("verify", "--all", "--prometheus", server.url, "--wait", "0s").status == 1


def test_one_of_several_serve_is_selected(command: Command, count: Callable[..., SeriesTable], server: Server) -> None:
    """By a matcher; without it nobody knows whose runs these are."""
    count()
    server.instances = ("a:9464", "b:9464")
    called = command("verify", "--all", "--prometheus", server.url, "--wait", "0s")
    assert (called.status, called.err) == (
        2,
        'error: --prometheus: has the counters of several `serve`: {"instance": "a:9464", "job": "runs"} and '
        '{"instance": "b:9464", "job": "runs"}; select one, as --matcher \'instance="HOST:PORT"\'\n',
    )
    matcher = 'instance="b:9464"'
    assert command("verify", "--all", "--prometheus", server.url, "--matcher", matcher, "--wait", "0s").status == 0


def test_a_prometheus_without_any_counter_lacks_all(command: Command, server: Server) -> None:
    """As when `serve` is not scraped."""
    called = command("verify", "--all", "--prometheus", server.url, "--wait", "0s", "--json")
    assert called.status == 1
    assert {counter["actual"] for counter in called.document["counters"]} == {0}


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": {"result": 5}}', b"[]", b'{"data": {"result": [{"metric": {}}]}}', b"<html>"]
)
def test_an_answer_that_is_no_vector(command: Command, server: Server, body: bytes) -> None:
    """One line says so."""
    server.fails["/api/v1/query"] = [(200, "application/json", json.dumps({"data": {"result": []}}).encode())]
    server.fails["/api/v1/query"] += [(200, "application/json", body)] * 9
    called = command("verify", "--all", "--prometheus", server.url, "--wait", "0s")
    assert (called.status, called.err.count("\n"), called.err.startswith("error: ")) == (2, 1, True)
