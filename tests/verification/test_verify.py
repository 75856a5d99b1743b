"""`runlog-otel verify`: what a backend lacks, has too much or otherwise is found, and nothing else."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from runlog_otel.cli.export import Selection, export_runs
from runlog_otel.cli.verifying import Selected, Verification
from runlog_otel.core.model import Run
from runlog_otel.exporters.traces.outbox import Outbox
from runlog_otel.settings import Settings
from runlog_otel.sources.files import Files
from runlog_otel.verification.backends import Jaeger
from runlog_otel.verification.query_client import QueryClient
from tests.calls import Called, Command
from tests.verification.conftest import configure, copies
from tests.verification.servers import Server

ALL = ("verify", "--all", "--wait", "0s")
BACKENDS = ("--jaeger", "--tempo")
SPANS = 25 + 25 + 11


@pytest.fixture
def verify(command: Command, server: Server) -> Callable[..., Called]:
    """Everything was sent; calls `verify --all` with the server as Jaeger."""
    assert command("export", "--all").status == 0
    return lambda *options: command(*ALL, "--jaeger", server.url, *options)


def faults(called: Called) -> list[tuple[str, int, str, str, str]]:
    """Run, execution, kind, span and field of each difference."""
    return [
        (run["run_id"], execution["execution"], one["kind"], one["span"], one.get("field", ""))
        for run in called.document["runs"]
        for execution in run["executions"]
        for one in execution["differences"]
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_found_where_all_is_there(command: Command, server: Server, backend: str) -> None:
    """One line says what was compared."""
    command("export", "--all")
    called = command(*ALL, backend, server.url)
    compared = f"3 runs, {SPANS} spans compared with {server.url}: 0 missing, 0 extra, 0 different\n"
    assert called == Called(0, compared, "")


@pytest.mark.parametrize(
    ("backend", "has_tempo_2"), [("--jaeger", True), ("--tempo", True), ("--tempo", False)], ids=["jaeger", "2", "1"]
)
def test_planted_faults_are_found_and_nothing_else(
    project: Path, command: Command, server: Server, backend: str, has_tempo_2: bool
) -> None:
    """In fifty runs: a span deleted, one changed, one too much, and a run that was never sent."""
    server.has_tempo_2 = has_tempo_2
    store = project / ".run_log_store"
    copies(store, "demo", *(f"copy-{number:03}" for number in range(47)))
    command("export", "--all")
    copies(store, "retried", "never")
    server.delete("copy-004", "load orders attempt")
    (rows,) = (
        a for a in server.span("copy-017", "load orders attempt")[2].attributes if a.key == "runlog.metric.orders"
    )
    rows.value.int_value += 1
    kept, one, _ = server.span("copy-030", "load orders")
    more = type(one)()
    more.CopyFrom(one)
    more.scope_spans[0].spans[0].span_id = b"12345678"
    kept.append(more)
    called = command(*ALL, backend, server.url, "--json")
    assert called.status == 1
    assert [fault for fault in faults(called) if fault[0] != "never"] == [
        ("copy-004", 1, "missing", "load orders attempt", ""),
        ("copy-017", 1, "different", "load orders attempt", "attribute runlog.metric.orders"),
        ("copy-030", 1, "extra", "load orders", ""),
    ]
    assert {fault[1:3] for fault in faults(called) if fault[0] == "never"} == {(1, "missing"), (2, "missing")}
    assert called.document["found"] == {"missing": 1 + 11, "extra": 1, "different": 1}
    assert called.document["compared"]["runs"] == 51


def test_each_difference_is_a_line_for_people(verify: Callable[..., Called], server: Server) -> None:
    """With the run, its trace, the span, and what differs."""
    server.delete("a", "load orders")
    _, _, changed = server.span("a", "RUN pipeline.main")
    changed.name = "RUN x\x1b[31m"
    changed.ClearField("status")
    server.span("b", "START pipeline.main")[2].attributes.add(key="more").value.string_value = "password=hunter2"
    called = verify()
    trace = "in jaeger, trace"
    lines = [line for line in called.out.splitlines() if trace not in line]
    assert [line.partition(", trace")[0] for line in called.out.splitlines() if trace in line] == [
        "a, execution 1 in jaeger",
        "b, execution 1 in jaeger",
    ]
    assert lines[:-1] == [
        f"  different  RUN pipeline.main (span {changed.span_id.hex()}): "
        'name is "RUN x\\u001b[31m", and "RUN pipeline.main" in the log',
        *[line for line in lines if "missing    load orders (span " in line],
        *[line for line in lines if "it has attribute more, which the log has not" in line],
    ]
    assert (called.status, called.err) == (1, "")
    assert "hunter2" not in called.out + verify("--json").out


def test_what_is_missing_is_sent_and_nothing_is_left(
    project: Path, verify: Callable[..., Called], server: Server
) -> None:
    """Only those spans are sent, once; a second look finds nothing."""
    copies(project / ".run_log_store", "demo", "never")
    server.delete("a", "load orders")
    server.delete("a", "clean regions")
    before = sum(1 for _ in server.spans())
    called = verify("--heal", "--wait", "60s")
    assert called.out.splitlines() == [
        "a: healed, 2 missing spans were sent and are there now",
        "never: healed, 25 missing spans were sent and are there now",
        f"4 runs, {SPANS + 25} spans compared with {server.url}: 0 missing, 0 extra, 0 different, 27 healed",
    ]
    assert (called.status, sum(1 for _ in server.spans())) == (0, before + 27)
    assert verify().status == 0


def test_what_cannot_be_healed_is_said(verify: Callable[..., Called], server: Server) -> None:
    """What a backend drops, what it has with another content, and what it has too much."""
    server.delete("a", "load orders")
    server.drops = lambda span: span.name == "load orders"
    server.span("b", "RUN pipeline.main")[2].start_time_unix_nano += 1
    called = verify("--heal", "--json")
    assert called.status == 1
    reasons = [
        (run["run_id"], sorted(execution["not_healed"]))
        for run in called.document["runs"]
        for execution in run["executions"]
        if execution["not_healed"]
    ]
    assert reasons == [("a", ["missing"]), ("b", ["different"])]
    assert called.document["healed_spans"] == 0


def test_an_endpoint_that_takes_nothing_is_reported(project: Path, command: Command, server: Server) -> None:
    """The runs are remembered as unsent; after some failures no more are tried, and each is still reported."""
    copies(project / ".run_log_store", "demo", *(f"copy-{number:03}" for number in range(50)))
    closed = "http://127.0.0.1:9"
    called = command(*ALL, "--jaeger", server.url, "--heal", "--endpoint", closed, "--json")
    problems = {run["run_id"]: run["problem"] for run in called.document["runs"]}
    untried = "not sent: http://127.0.0.1:9 acknowledged none of the runs before"
    remembered = {marker.run_id for marker in Outbox(project / ".runlog-otel" / "unsent")}
    assert (called.status, len(problems)) == (1, 53)
    assert {run_id for run_id, problem in problems.items() if problem != untried} == remembered != set()
    assert {text.partition(" failed: ")[0] for text in problems.values()} == {untried, "export to http://127.0.0.1:9"}
    assert {run["executions"][0]["state"] for run in called.document["runs"]} == {"complete"}
    assert [run["executions"][0]["not_healed"] for run in called.document["runs"]] == [{}] * 53


def states(called: Called) -> dict[str, int]:
    return {state: count for state, count in called.document["executions"].items() if count}


def test_a_run_that_waits_in_the_outbox_is_no_fault(project: Path, command: Command, server: Server) -> None:
    """It is named; `--heal` sends it, and the outbox forgets it."""
    outbox = Outbox(project / ".runlog-otel" / "unsent")
    command("export", "b", "c")
    outbox.add("a", "HTTP 503")
    called = command(*ALL, "--jaeger", server.url)
    assert (called.status, called.err.partition(", trace")[0]) == (0, "a, execution 1 in jaeger")
    assert called.err.endswith(": waiting to be sent; 25 of 25 spans are missing\n")
    refused = command(*ALL, "--jaeger", server.url, "--heal", "--endpoint", "http://127.0.0.1:9")
    assert (refused.status, refused.err.startswith("error: a: export to http://127.0.0.1:9 failed: ")) == (1, True)
    healed = command(*ALL, "--jaeger", server.url, "--heal", "--json", "--wait", "60s")
    assert (healed.status, healed.document["healed_spans"], list(outbox)) == (0, 25, [])
    assert states(command(*ALL, "--jaeger", server.url, "--json")) == {"complete": 4}


def open_run(project: Path, run_id: str) -> None:
    """A run without its verdict: it goes on, or was killed."""
    path = project / ".run_log_store" / f"{run_id}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["steps"] = {name: step for name, step in document["steps"].items() if step["step_type"] != "success"}
    path.write_text(json.dumps(document | {"status": "PROCESSING"}), encoding="utf-8")


def test_a_run_that_has_not_ended_is_no_fault(project: Path, command: Command, server: Server) -> None:
    """Its processes send the rest: `--heal` sends nothing of it. What is there is compared."""
    open_run(project, "a")
    command("export", "--all")
    server.delete("a", "load orders attempt")
    called = command(*ALL, "--jaeger", server.url, "--json", "--heal")
    assert (called.status, states(called)) == (0, {"complete": 3, "open": 1})
    assert [fault[2:4] for fault in faults(called)] == [("missing", "load orders attempt")]
    server.span("a", "START pipeline.main")[2].name = "START"
    assert command(*ALL, "--jaeger", server.url).status == 1


def test_a_run_that_was_closed_as_abandoned_is_compared_as_it_was_sent(
    project: Path, command: Command, server: Server
) -> None:
    """Its containers are no surplus, and one of them that is missing is a fault that is healed."""
    open_run(project, "a")
    command("export", "--all", "--abandoned")
    assert states(command(*ALL, "--jaeger", server.url, "--json")) == {"complete": 4}
    server.delete("a", "load orders")
    called = command(*ALL, "--jaeger", server.url, "--json")
    assert [fault[:4] for fault in faults(called)] == [("a", 1, "missing", "load orders")]
    assert command(*ALL, "--jaeger", server.url, "--heal", "--wait", "60s").status == 0


def test_runs_that_are_not_sampled_are_counted_only(project: Path, command: Command, server: Server) -> None:
    """Nobody asks the backend for them; a failed one is compared, because it is sent."""
    configure(project, server, sample=0)
    called = command(*ALL, "--jaeger", server.url, "--json")
    assert (called.status, states(called)) == (1, {"complete": 1, "not_sampled": 3})
    assert {fault[:2] for fault in faults(called)} == {("c", 1)}
    assert len([path for path, _ in server.asked if "/traces/" in path]) == 1
    assert command(*ALL, "--jaeger", server.url, "--heal", "--wait", "60s").status == 0


def test_exceptions_that_are_sent_as_logs_are_no_events(project: Path, command: Command, server: Server) -> None:
    """The span of a failed attempt has none then."""
    configure(project, server, exceptions="logs")
    command("export", "--all")
    assert command(*ALL, "--jaeger", server.url).status == 0
    configure(project, server)
    called = command(*ALL, "--jaeger", server.url, "--json")
    assert {fault[4].partition(" ")[0] for fault in faults(called)} == {"event"}


def test_spans_of_others_in_the_trace_are_no_faults(verify: Callable[..., Called], server: Server) -> None:
    """Those of users' code."""
    kept, one, _ = server.span("a", "load orders")
    users = type(one)()
    users.CopyFrom(one)
    users.scope_spans[0].scope.name = "requests"
    users.scope_spans[0].spans[0].span_id = b"12345678"
    kept.append(users)
    kept.append(one)  # sent twice
    assert verify().status == 0


def test_a_part_of_a_trace_is_called_so(command: Command, server: Server) -> None:
    """As Tempo answers for a trace that is larger than its limit."""
    command("export", "--all")
    server.delete("a", "load orders")
    server.partial = "Trace exceeds maximum size of 5000000 bytes, a partial trace is returned"
    called = command(*ALL, "--tempo", server.url)
    assert called.status == 1
    assert f"  it says    {server.partial}" in called.out.splitlines()


def test_a_trace_that_is_missing_whole_is_one_line(project: Path, command: Command, server: Server) -> None:
    """Not one for each span."""
    called = command("verify", "a", "--wait", "0s", "--jaeger", server.url)
    assert called.out.splitlines()[1:] == [
        "  missing    the whole trace, 25 spans",
        f"1 runs, 25 spans compared with {server.url}: 25 missing, 0 extra, 0 different",
    ]


def test_a_list_can_be_compared_in_parts(project: Path, verify: Callable[..., Called], server: Server) -> None:
    """Each call says where the next one goes on; together they look at each run once."""
    copies(project / ".run_log_store", "demo", *(f"copy-{number}" for number in range(7)))
    seen: list[str] = []
    after: list[str] = []
    while True:
        called = verify("--limit", "3", "--json", *after)
        seen += [run["run_id"] for run in called.document["runs"]]
        assert called.document["compared"]["runs"] <= 3
        if called.document["after"] is None:
            break
        after = ["--after", called.document["after"]]
    assert sorted(seen) == [f"copy-{number}" for number in range(7)]
    assert len(seen) == len(set(seen))
    text = verify("--limit", "9")
    assert text.err.startswith("to go on after the runs that were compared: --after ")
    assert verify("--limit", "10").err == ""


def test_a_run_that_ended_just_now_is_waited_for(project: Path, command: Command, server: Server) -> None:
    """It may be on its way: the server has it at the second look."""
    command("export", "--all")
    (kept,) = (kept for kept in server.traces.values() if len(kept) == 6)
    (root,) = (s for one in kept for s in one.scope_spans[0].spans if not s.parent_span_id)
    assert root.name.startswith("RUN")
    path = f"/api/v3/traces/{root.trace_id.hex()}"
    server.fails[path] = [(404, "application/json", b'{"error": {"httpCode": 404}}')]
    assert command("verify", "c", "--jaeger", server.url, "--wait", "36000d").status == 0
    assert len([asked for asked, _ in server.asked if asked.startswith(path)]) == 2


def test_a_run_that_cannot_be_read_is_reported_and_the_others_are_compared(
    project: Path, verify: Callable[..., Called]
) -> None:
    """As in an export."""
    (project / ".run_log_store" / "torn.json").write_text("{", encoding="utf-8")
    called = verify()
    assert (called.status, called.err.startswith("error: torn: ")) == (1, True)
    assert called.out.startswith("4 runs, ")
    assert verify("--json").document["runs"][0]["run_id"] == "torn"


def test_an_unknown_run_is_a_problem(command: Command, server: Server) -> None:
    """One line says which."""
    called = command("verify", "nobody", "a", "--jaeger", server.url)
    assert (called.status, "run 'nobody' is not in" in called.err) == (1, True)


def test_a_log_in_a_file_is_compared(project: Path, command: Command, server: Server) -> None:
    """Also healed."""
    file = ".run_log_store/a.json"
    called = command("verify", file, "--jaeger", server.url, "--heal", "--wait", "60s")
    assert (called.status, called.out.splitlines()[0].partition(":")[0]) == (0, "a")


def test_names_and_values_of_a_backend_are_masked(verify: Callable[..., Called], server: Server) -> None:
    """Who sent them may have known nothing of today's rules."""

    def plant(span: Span) -> None:
        span.status.message = "password=hunter2"
        span.status.code = span.status.STATUS_CODE_ERROR

    plant(server.span("a", "load orders")[2])
    called = verify()
    assert (
        'status description is "password=***"' in called.out.replace("[masked]", "***") or "hunter2" not in called.out
    )
    assert "hunter2" not in called.out
    assert "status description" in called.out


def test_an_interrupted_call_says_where_to_go_on(verify: Callable[..., Called], server: Server) -> None:
    """With the runs that it has compared."""
    first = verify("--limit", "1", "--json").document["after"]
    compared = [path for path, _ in server.asked if "/traces/" in path]
    answer = server.answer

    def interrupting(target: str) -> tuple[int, str, bytes]:
        if "/traces/" in target and target not in compared:
            os.kill(os.getpid(), signal.SIGINT)
        return answer(target)

    server.answer = interrupting  # type: ignore[method-assign]
    called = verify()
    assert (called.status, called.out) == (130, "")
    assert called.err == f"to go on after the runs that were compared: --after {first}\n"


class Counting(Files):
    """A source that notes the runs that were read, which is frozen."""

    noted: ClassVar[list[Run | Exception]] = []

    def read_runs(self, run_ids: Sequence[str]) -> Iterator[Run | Exception]:
        """See `Source.read_runs`."""
        for run in super().read_runs(run_ids):
            self.noted.append(run)
            yield run


@pytest.mark.parametrize("is_healing", [False, True])
def test_memory_does_not_grow_with_the_number_of_runs(project: Path, server: Server, is_healing: bool) -> None:
    """At no time are more runs read than are sent again together; nothing of a run is kept."""
    source = Counting(project / ".run_log_store", Settings.load({"endpoint": server.url}, {}))
    backend = Jaeger(QueryClient("--jaeger", server.url, source.settings, headers={}))
    folders = [project / "unsent"]
    verification = Verification(source, [backend], folders, is_healing=is_healing, wait_seconds=60.0)
    export_runs(source, Selection(every=True), folders, close=False, dry_run=False, as_json=True)
    ahead = []
    source.noted.clear()
    for number, result in enumerate(verification.results(Selected("a", f"{at}.a") for at in range(400)), 1):
        ahead.append(len(source.noted) - number)
        assert result.check.is_good
    backend.client.close()
    assert len(ahead) == 400
    assert max(ahead) <= (39 if is_healing else 1)


def test_a_run_that_is_deleted_meanwhile_is_passed_over(project: Path, server: Server) -> None:
    """It was listed, and is gone when it is read."""
    source = Counting(project / ".run_log_store", Settings.load({"endpoint": server.url}, {}))
    verification = Verification(source, [], [], is_healing=False, wait_seconds=0.0)
    selected = [Selected("a", "1.a"), Selected("gone", "2.gone"), Selected("b", "3.b")]
    assert [result.check.run_id for result in verification.results(selected)] == ["a", "b"]
