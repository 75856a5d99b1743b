"""The rows of the waterfall."""

from runlog_otel.core.model import Run, Status, Step
from runlog_otel.core.spans import spans_from_run
from runlog_otel.web.waterfall import Row, Waterfall, waterfall
from tests.web.pages import at, attempt, mapped, run_of, step, used


def _waterfall(run: Run, **options: object) -> Waterfall:
    return waterfall(spans_from_run(run, is_abandoned=True)[0], **options)  # type: ignore[arg-type]


def _outline(chart: Waterfall) -> list[tuple[int, str, str, str, str]]:
    return [(row.depth, row.kind, row.label, row.inside, row.result) for row in chart.rows]


def _row(chart: Waterfall, label: str) -> Row:
    return next(row for row in chart.rows if row.label == label)


def _iteration(value: str, *steps: Step) -> tuple[Step, ...]:
    return steps


def test_steps_iterations_and_attempts_are_told_apart() -> None:
    """A single attempt and the only step of an iteration have no row of their own."""
    failed = attempt(1, 2, Status.FAIL, message="no")
    chart = _waterfall(
        run_of(
            step("load", attempt(0, 1)),
            mapped(
                "clean",
                {
                    "north": (step("wash", attempt(1, 2), path="clean.north.wash"),),
                    "south": (
                        step("wash", failed, attempt(2, 3, number=2), path="clean.south.wash"),
                        step("dry", attempt(3, 4), path="clean.south.dry"),
                    ),
                },
            ),
        )
    )
    assert _outline(chart) == [
        (0, "step", "load", "", "success"),
        (0, "step", "clean", "2 iterations", "success"),
        (1, "iteration", "north", "wash", "success"),
        (1, "iteration", "south", "", "success"),
        (2, "step", "wash", "2 attempts", "success"),
        (3, "attempt", "attempt 1", "", "failure"),
        (3, "attempt", "attempt 2", "", "success"),
        (2, "step", "dry", "", "success"),
    ]
    assert [row.below for row in chart.rows] == [0, 6, 0, 4, 2, 0, 0, 0]
    assert [bar.colour for bar in _row(chart, "wash").segments] == ["bad", "ok"]
    assert set(chart.names.values()) == {
        *("", "load", "clean", "clean / north", "clean / north / wash"),
        *("clean / south", "clean / south / wash", "clean / south / dry"),
    }
    assert set(chart.places.values()) == {"", "load", "clean", "clean / *", "clean / * / wash", "clean / * / dry"}


def test_bars_stand_where_their_parts_were() -> None:
    """In thousandths of the run."""
    chart = _waterfall(run_of(step("one", attempt(0, 1)), step("two", attempt(2, 4))))
    assert (chart.start_ns, chart.ticks_ns) == (at(0), (0, 10**9, 2 * 10**9, 3 * 10**9))
    assert [(row.bar.x, row.bar.width) for row in chart.rows] == [(0, 250), (500, 500)]


def test_the_critical_path_is_marked_on_what_encloses_it_too() -> None:
    """A folded map still shows where the path goes through it; what ran beside the path is not marked."""
    long, short = step("wash", attempt(1, 3), path="clean.a.wash"), step("wash", attempt(1, 2), path="clean.b.wash")
    run = run_of(
        step("load", attempt(0, 1)), mapped("clean", {"a": (long,), "b": (short,)}), step("tail", attempt(3, 4))
    )
    chart = _waterfall(run)
    assert {row.label: [(round(bar.x), round(bar.width)) for bar in row.path] for row in chart.rows} == {
        "load": [(0, 250)],
        "clean": [(250, 500)],
        "a": [(250, 500)],
        "b": [],
        "tail": [(750, 250)],
    }
    assert chart.has_path


def test_usage_is_summed_up_to_the_outermost_part() -> None:
    """CPU time is added, of peaks the highest counts; without any there are no columns for it."""
    inner = [
        step(
            "wash",
            attempt(0, 1, facts=used(runlog_attempt_cpu_time=cpu, runlog_attempt_memory_peak=peak)),
            path=f"clean.{name}.wash",
        )
        for name, cpu, peak in (("a", 0.5, 100), ("b", 1.5, 70))
    ]
    chart = _waterfall(run_of(mapped("clean", {"a": (inner[0],), "b": (inner[1],)}), step("tail", attempt(1, 2))))
    assert [(row.label, row.cpu_seconds, row.memory_bytes) for row in chart.rows] == [
        ("clean", 2.0, 100),
        ("a", 0.5, 100),
        ("b", 1.5, 70),
        ("tail", None, None),
    ]
    assert (chart.has_usage, _waterfall(run_of(step("one", attempt(0, 1)))).has_usage) == (True, False)


def test_a_part_that_runs_is_drawn_until_now() -> None:
    """Nothing is called an error before the run has ended."""
    run = run_of(
        step("one", attempt(0, 1)),
        step("two", status=Status.PROCESSING),
        status=Status.PROCESSING,
    )
    chart = _waterfall(run, is_complete=False, now_ns=at(4))
    assert [(row.label, row.result, row.colour, row.bar.width) for row in chart.rows] == [
        ("one", "success", "ok", 250),
        ("two", "running", "run", 750),
    ]
    assert chart.end_ns == at(4)


def test_a_large_part_is_folded_at_first() -> None:
    """Its rows hide what comes after it."""
    many = {f"{n}": (step("wash", attempt(n, n + 1), path=f"clean.{n}.wash"),) for n in range(51)}
    chart = _waterfall(run_of(mapped("clean", many), step("tail", attempt(51, 52))))
    assert [row.label for row in chart.rows if row.is_folded] == ["clean"]
    assert [len(chunk) for chunk in chart.chunks] == [50, 3]


def test_every_step_leads_to_a_row() -> None:
    """That of the iteration, where the step has none."""
    inner = step("wash", attempt(0, 1), path="clean.north.wash")
    trace = spans_from_run(run_of(mapped("clean", {"north": (inner,)})))[0]
    chart = waterfall(trace)
    keys = {row.key: row.label for row in chart.rows}
    assert [keys[chart.row_of(span.span_id)] for span in trace.spans[2:]] == ["clean", "north", "north", "north"]
