"""Run logs to map: a short way to write them, and a strategy that makes all sorts of them."""

from collections.abc import Collection, Mapping
from typing import Any

from hypothesis import strategies as st

from runlog_otel.core import semconv
from runlog_otel.core.model import NO_FACTS, Attempt, Branch, Facts, Header, Run, Status, Step
from runlog_otel.core.points import ExecutionPoints, points_from_trace
from runlog_otel.core.runlogs.json_runlog import step_from_log
from runlog_otel.core.runlogs.timestamps import TimestampParser
from runlog_otel.core.spans import spans_from_run

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND


def at(seconds: float) -> int:
    """A moment, in seconds after the start of every run here."""
    return START + round(seconds * SECOND)


def attempt(start: float, end: float, *, ok: bool = True, number: int = 1, indicator: str = "") -> Attempt:
    return Attempt(
        number=number,
        status=Status.SUCCESS if ok else Status.FAIL,
        start_ns=at(start),
        end_ns=at(end),
        message="" if ok else "no\n",
        retry_indicator=indicator,
    )


def task(path: str, *attempts: Attempt, status: Status | None = None) -> Step:
    return Step(
        name=path.rpartition(".")[2],
        path=path,
        kind="task",
        status=status or (attempts[-1].status if attempts else Status.PROCESSING),
        attempts=attempts,
    )


def verdict(kind: str, *moments: float, prefix: str = "", numbers: Mapping[float, str] | None = None) -> Step:
    """A terminal node that was reached at these moments."""
    indicators = numbers or {}
    attempts = tuple(
        attempt(moment, moment, number=index, indicator=indicators.get(moment, ""))
        for index, moment in enumerate(moments, 1)
    )
    return Step(name=kind, path=f"{prefix}{kind}", kind=kind, status=Status.SUCCESS, attempts=attempts)


def branch(path: str, *steps: Step, status: Status = Status.SUCCESS) -> Branch:
    return Branch(name=path.rpartition(".")[2], path=path, status=status, steps=steps)


def composite(path: str, kind: str, *branches: Branch, status: Status = Status.SUCCESS) -> Step:
    return Step(name=path.rpartition(".")[2], path=path, kind=kind, status=status, branches=branches)


def run(
    *steps: Step, status: Status = Status.SUCCESS, header: Header | None = None, has_executor_retries: bool = False
) -> Run:
    return Run(
        run_id="calm-otter-0611",
        pipeline="train",
        host="runnable",
        status=status,
        header=header or Header(created_ns=at(0), utc_offset_seconds=0),
        steps=steps,
        executor="local",
        has_executor_retries=has_executor_retries,
    )


def facts_of(step: Mapping[str, Any]) -> list[Facts]:
    """The facts of a step's attempts, as they are read from a document that has little else."""
    attempts = [{"status": "SUCCESS", **attempt} for attempt in step["attempts"]]
    document = {"name": "s", "internal_name": "s", "status": "SUCCESS", **step, "attempts": attempts}
    return [attempt.facts for attempt in step_from_log(document, TimestampParser(Header())).attempts]


def points_from_run(
    log: Run, *, by_tag: bool = False, is_abandoned: bool = False, annotations: Collection[str] = ()
) -> list[ExecutionPoints]:
    """What each execution adds that is complete, as `serve` counts it."""
    traces = spans_from_run(log, is_abandoned=is_abandoned)
    complete = [trace for trace in traces if trace.is_complete]
    return [points_from_trace(log, trace, by_tag=by_tag, annotations=annotations) for trace in complete]


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=8)
_TIMES = st.one_of(st.none(), st.integers(0, 10**6).map(lambda ms: START + ms * 1_000_000))

_FACTS = st.dictionaries(st.sampled_from(sorted(semconv.ATTEMPT_FACTS)), st.integers(0, 9) | st.text(max_size=3))


@st.composite
def attempts(draw: st.DrawFn) -> tuple[Attempt, ...]:
    count = draw(st.integers(0, 3))
    return tuple(
        Attempt(
            number=number,
            status=draw(st.sampled_from([Status.SUCCESS, Status.FAIL])),
            start_ns=draw(_TIMES),
            end_ns=draw(_TIMES),
            message=draw(st.text(max_size=30)),
            input_parameters=tuple(draw(st.lists(st.text(max_size=2000), max_size=5))),
            metrics=draw(st.dictionaries(st.text(max_size=5), st.floats() | st.text(max_size=3000), max_size=3)),
            retry_indicator=draw(st.sampled_from(["", "", "b"])),
            facts=draw(st.just(NO_FACTS) | st.builds(Facts, _FACTS, st.just({}) | st.just({"rows": 3}))),
        )
        for number in range(1, count + 1)
    )


@st.composite
def graphs(draw: st.DrawFn, prefix: str = "", depth: int = 2) -> tuple[Step, ...]:
    steps = []
    for name in draw(st.lists(_NAMES, max_size=3, unique=True)):
        path = prefix + name
        if depth and draw(st.booleans()):
            values = draw(st.lists(_NAMES, max_size=2, unique=True))
            branches = tuple(
                Branch(
                    value, f"{path}.{value}", draw(st.sampled_from(Status)), draw(graphs(f"{path}.{value}.", depth - 1))
                )
                for value in values
            )
            kind = draw(st.sampled_from(["parallel", "map", "loop", "conditional"]))
            steps.append(Step(name, path, kind, draw(st.sampled_from(Status)), branches=branches))
        else:
            steps.append(Step(name, path, "task", draw(st.sampled_from(Status)), attempts=draw(attempts())))
    kinds = draw(st.sampled_from([(), ("success",), ("fail",), ("success", "fail")]))
    steps += [Step(kind, f"{prefix}{kind}", kind, Status.SUCCESS, attempts=draw(attempts())) for kind in kinds]
    return tuple({step.path: step for step in steps}.values())


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Any run log that could be read, sensible or not."""
    return Run(
        run_id=draw(st.text(min_size=1, max_size=10)),
        pipeline=draw(st.text(max_size=10)),
        host="runnable",
        status=draw(st.sampled_from(Status)),
        header=Header(
            created_ns=draw(_TIMES),
            retries=tuple(draw(st.lists(st.tuples(st.integers(1, 4), st.integers(START, START * 2)), max_size=2))),
        ),
        steps=draw(graphs()),
        has_executor_retries=draw(st.booleans()),
    )
