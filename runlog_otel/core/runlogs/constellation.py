"""Maps an execution of Constellation Engine, from its HTTP history, to a `Run`. Pure.

Source: Constellation's `io.constellation.http.StoredExecution` and `io.constellation.lang.viz.DagVizIR`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.model import TERMINAL_KINDS, Attempt, Header, Node, Run, Status, Step
from runlog_otel.errors import RunLogFormatError

HOST = "constellation"
STATUSES: Mapping[str, Status] = {
    "Running": Status.PROCESSING,
    "Completed": Status.SUCCESS,
    "Failed": Status.FAIL,
}
_VERDICTS = {status: kind for kind, status in TERMINAL_KINDS.items()}
_VERDICT_PATH = "\0"
"""No node has this id."""
_CUT_OFF = "the node was still running when the execution ended"
_MS = 1_000_000
_LONGEST_MS = 10**15

Document = Mapping[str, Any]


def run_from_execution(execution: Document, pipeline: str = "") -> Run:
    """Map an execution to a run: its node results are steps of one attempt each, its end is the verdict.

    Names of inputs and outputs are exported; values are, like those of parameters, if the settings list them.

    Args:
        execution: the document, times in milliseconds since the epoch.
        pipeline: the pipeline's name; else `dagName`.

    Raises:
        RunLogFormatError: the document is not an execution.
    """
    try:
        status = _status(execution)
        started_ms, ended_ms = _ms(execution["startTime"]), execution.get("endTime")
        # If a clock that was set back put the end before the nodes, they would belong to another execution.
        mapping = ExecutionMapper(execution, started_ms, None if ended_ms is None else max(started_ms, _ms(ended_ms)))
        steps = tuple(mapping.steps(is_over=status.is_final))
        return Run(
            run_id=str(execution["executionId"]),
            pipeline=pipeline or str(execution["dagName"] or HOST),
            host=HOST,
            status=status,
            header=Header(created_ns=mapping.started_ms * _MS, utc_offset_seconds=0),
            steps=(*steps, *mapping.verdict(status)),
            definition=str(execution.get("scriptPath") or ""),
            graph=tuple(dict.fromkeys(Node(step.name, step.kind) for step in steps)),
            attributes={
                semconv.INPUT_PARAMETERS: tuple(sorted(execution.get("inputs") or ())),
                semconv.OUTPUT_PARAMETERS: tuple(sorted(execution.get("outputs") or ())),
                semconv.RUN_SAMPLE_RATE: 1.0 if (rate := execution.get("sampleRate")) is None else float(rate),
                semconv.RUN_SOURCE: str(execution.get("source") or ""),
            },
            input_values=dict(sorted((execution.get("inputs") or {}).items())),
            output_values=dict(sorted((execution.get("outputs") or {}).items())),
        )
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        name = execution.get("executionId") if isinstance(execution, Mapping) else None
        problem = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise RunLogFormatError(f"execution {name!r}" if isinstance(name, str) else "the document", problem) from error


class ExecutionMapper:
    """Maps the nodes of one execution to steps."""

    def __init__(self, execution: Document, started_ms: int, ended_ms: int | None) -> None:
        self.started_ms = started_ms
        self._ended_ms = ended_ms
        self._results: Mapping[str, Document] = execution.get("nodeResults") or {}
        graph: Document = execution.get("dagVizIR") or {}
        self._nodes: Mapping[str, Document] = {node["id"]: node for node in graph.get("nodes") or ()}
        self._edges = [(edge["source"], edge["target"]) for edge in graph.get("edges") or ()]

    def steps(self, *, is_over: bool) -> Iterator[Step]:
        """The nodes that have a result, in the order of the graph if it is known."""
        starts = self._starts()
        order = [node for node in self._nodes if node in self._results]
        for path in (*order, *sorted(self._results.keys() - self._nodes.keys())):
            node, result = self._nodes.get(path, {}), self._results[path]
            yield Step(
                name=str(node.get("label") or path),
                path=path,
                kind=str(node.get("kind") or "node"),
                status=_status(result),
                attempts=tuple(self._attempts(result, starts[path], is_over=is_over)),
            )

    def verdict(self, status: Status) -> Iterator[Step]:
        """The end of the execution as a terminal step."""
        if kind := _VERDICTS.get(status):
            at_ns = None if self._ended_ms is None else self._ended_ms * _MS
            attempt = Attempt(number=1, status=Status.SUCCESS, start_ns=at_ns, end_ns=at_ns)
            yield Step(name=kind, path=_VERDICT_PATH, kind=kind, status=Status.SUCCESS, attempts=(attempt,))

    def _starts(self) -> Mapping[str, int]:
        """The earliest start of each node: the latest end of its predecessors, else the start of the execution.

        Neither PostgreSQL's JSONB nor Scala's maps keep an order, so the order of the results means nothing.
        """
        before: dict[str, list[str]] = defaultdict(list, {node: [] for node in self._results})
        for source, target in self._edges:
            before[target].append(source)
        starts: dict[str, int] = {}
        ends: dict[str, int] = {}
        for node in TopologicalSorter(before).static_order():
            start = max((ends[other] for other in before.get(node, ())), default=self.started_ms)
            # Durations are rounded to milliseconds; nothing starts after the end of its execution.
            starts[node] = start if self._ended_ms is None else max(self.started_ms, min(start, self._ended_ms))
            ends[node] = starts[node] + _duration_ms(self._results.get(node) or {})
        return starts

    def _attempts(self, result: Document, start_ms: int, *, is_over: bool) -> Iterator[Attempt]:
        status = _status(result)
        is_cut_off = not status.is_final
        if is_cut_off and not is_over:
            return
        end_ms = start_ms + _duration_ms(result)
        if is_cut_off and self._ended_ms is not None:
            end_ms = max(end_ms, self._ended_ms)
        yield Attempt(
            number=1,
            status=Status.FAIL if is_cut_off else status,
            start_ns=start_ms * _MS,
            end_ns=end_ms * _MS,
            message=_CUT_OFF if is_cut_off else str(result.get("error") or ""),
            is_start_derived=True,
        )


def _status(part: Document) -> Status:
    status = STATUSES.get(part["status"])
    if status is None:
        raise ValueError(f"{part['status']!r} is no status; known are {', '.join(STATUSES)}")
    return status


def _duration_ms(result: Document) -> int:
    return max(0, _ms(result.get("durationMs") or 0))


def _ms(value: Any) -> int:
    """A time or a duration in milliseconds, within bounds."""
    if abs(milliseconds := int(value)) > _LONGEST_MS:
        raise ValueError(f"a time of more than {_LONGEST_MS} ms")
    return milliseconds
