"""Two executions side by side: steps with durations and results, and what differs in code, parameters, files. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runlog_otel.core import semconv
from runlog_otel.core.execution_record import ExecutionRecord, ExecutionSummary, ParameterRecord, StepRecord

_KINDS = {
    semconv.VCS_REVISION: "revision",
    semconv.CODE_IS_CLEAN: "work_tree",
    semconv.VCS_REPOSITORY: "repository",
    semconv.VCS_REF_NAME: "branch",
    semconv.RUN_DAG_HASH: "graph",
    semconv.RUN_DEFINITION: "definition",
    semconv.RUN_EXECUTOR: "executor",
    semconv.RUN_HOST: "tool",
    semconv.IMAGE_ID: "image",
    semconv.IMAGE_NAME: "image",
    semconv.IMAGE_TAGS: "image",
    semconv.IMAGE_DIGEST: "image",
    semconv.HOST_NAME: "machine",
    semconv.K8S_NODE: "machine",
}
_NOT_SET = "(not set)"
_CLEAN = {"True": "clean", "False": "with changes"}
_ORDER = (
    *("revision", "work_tree", "branch", "repository", "graph", "definition", "code", "image", "tool", "executor"),
    *("parameter", "returned", "catalog", "machine"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two executions.

    `kind` is `revision`, `work_tree`, `branch`, `repository`, `graph`, `definition`, `code`, `image`, `tool`,
    `executor`, `parameter` (the run began with it), `returned` (a step returned it), `catalog` or `machine`.
    """

    kind: str
    name: str = ""
    """Of the parameter or the file; the place of a step in the graph, if not all steps differ alike."""
    before: str = ""
    after: str = ""
    """Both are empty if the values may not be shown; `(not set)` where an execution has none."""


@dataclass(frozen=True, slots=True)
class StepPair:
    """A step in both executions; durations in nanoseconds, of the longest iteration."""

    key: str
    """Its place in the graph."""
    kind: str
    before_ns: int | None
    after_ns: int | None
    """None where it did not run."""
    before: str
    after: str
    """How it ended; of iterations the worst result. Empty where it did not run."""
    before_count: int
    after_count: int

    @property
    def change_ns(self) -> int:
        """How much longer it took in the second one; 0 if it did not run in both."""
        return 0 if self.before_ns is None or self.after_ns is None else self.after_ns - self.before_ns


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two executions side by side."""

    before: ExecutionSummary
    after: ExecutionSummary
    steps: tuple[StepPair, ...]
    """In the order in which they ran."""
    slower: tuple[StepPair, ...]
    """Those that took longer in the second one, the greatest difference first."""
    differences: tuple[Difference, ...]


def comparison_of(before: ExecutionRecord, after: ExecutionRecord) -> Comparison:
    """Compare two executions, of one pipeline or of two."""
    since = {key: step.start_ns - run.start_ns for run in (before, after) for key, step in run.steps.items()}
    keys = sorted(since, key=lambda key: (since[key], key))
    pairs = [_pair(before.steps.get(key), after.steps.get(key), key) for key in keys]
    slower = sorted((pair for pair in pairs if pair.change_ns > 0), key=lambda pair: (-pair.change_ns, pair.key))
    return Comparison(before.summary, after.summary, tuple(pairs), tuple(slower), differences_between(before, after))


def differences_between(before: ExecutionRecord, after: ExecutionRecord) -> tuple[Difference, ...]:
    """What differs in code, parameters and files, as far as both executions have it.

    A parameter that only one of them has is listed only if that run began with it: the other run may have ended before
    a step returned it.
    """
    found = [
        *_of_run(before, after),
        *_of_steps(before, after),
        *_parameters("parameter", before.inputs, after.inputs, is_whole=True),
        *_parameters("returned", before.returned, after.returned, is_whole=False),
        *(
            Difference("catalog", name, before.catalog[stage, name], after.catalog[stage, name])
            for stage, name in sorted(before.catalog.keys() & after.catalog.keys())
            if before.catalog[stage, name] != after.catalog[stage, name]
        ),
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (_ORDER.index(each.kind), each.name)))


def _of_run(before: ExecutionRecord, after: ExecutionRecord) -> Iterator[Difference]:
    for name in before.code.keys() & after.code.keys():
        yield from _difference(name, "", before.code[name], after.code[name])


def _of_steps(before: ExecutionRecord, after: ExecutionRecord) -> Iterator[Difference]:
    """What differs in steps that both ran; without the step, if all that have it differ alike or the run tells it."""
    shared = [(key, before.steps[key].code, after.steps[key].code) for key in before.steps.keys() & after.steps.keys()]
    names = {name for _, old, new in shared for name in old.keys() & new.keys()}
    for name in names - (before.code.keys() & after.code.keys()):
        values = {key: (old[name], new[name]) for key, old, new in shared if name in old and name in new}
        is_same = len(set(values.values())) == 1
        for key, (old_value, new_value) in values.items():
            yield from _difference(name, "" if is_same else key, old_value, new_value)


def _difference(name: str, key: str, before: str, after: str) -> Iterator[Difference]:
    if before != after:
        yield Difference(_KINDS.get(name, "code"), key, _CLEAN.get(before, before), _CLEAN.get(after, after))


def _parameters(
    kind: str, before: Mapping[str, ParameterRecord], after: Mapping[str, ParameterRecord], *, is_whole: bool
) -> Iterator[Difference]:
    for name in before.keys() | after.keys() if is_whole else before.keys() & after.keys():
        old, new = before.get(name), after.get(name)
        if (old and old.token) != (new and new.token):
            yield Difference(kind, name, _shown(old), _shown(new))


def _shown(parameter: ParameterRecord | None) -> str:
    return _NOT_SET if parameter is None else parameter.shown


def _pair(before: StepRecord | None, after: StepRecord | None, key: str) -> StepPair:
    known = after or before
    return StepPair(
        key,
        known.kind if known else "",
        before.duration_ns if before else None,
        after.duration_ns if after else None,
        before.result if before else "",
        after.result if after else "",
        before.count if before else 0,
        after.count if after else 0,
    )
