"""What Jaeger must show of an execution, derived from nothing but the JSON of its run log and of the one before.

Written against docs and conventions, on purpose without `runlog_otel.core.spans` and its like: two readings of one log.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from tests.e2e.told import Document, Shown, Tag, Told, tag

_RESULTS = {"SUCCESS": "success", "FAIL": "failure"}
_TERMINAL = ("success", "fail")
_COMPOSITE = ("parallel", "map", "loop", "conditional", "dag")
NOTE = "runlog_otel.attempt"
"""The key in the host's code identity, or the type of our own, in which a process notes what only it knows."""
FACTS = "runlog_otel.facts"
"""The same for where the attempt ran, what it used, and what its code said."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def trace_id(run_id: str, execution: int) -> str:
    """First 16 bytes of SHA-256 over the namespace (empty), run id and execution."""
    return _digest("", run_id, str(execution))[:32]


def span_id(run_id: str, execution: int, kind: str, path: str = "", attempt: int = 0) -> str:
    """First 8 bytes of SHA-256 over all that names a span."""
    return _digest("", run_id, str(execution), kind, path, str(attempt))[:16]


@dataclass(frozen=True)
class Oracle:
    """Tells the trace of one execution.

    `log` is the run log as it was when the execution had ended, `before` as it was when it had not begun.
    """

    log: Document
    before: Document | None = None
    execution: int = 1
    pipeline: str = ""
    resource: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> Told:
        """The trace."""
        identity = {"cicd.pipeline.name": self._pipeline, "cicd.pipeline.run.id": self.log["run_id"]}
        return Told(dict(self._spans()), self._pipeline, {**self.resource, **identity})

    @property
    def trace_id(self) -> str:
        """The id of the trace: the caller's, if the run joined that."""
        return self._trace_id(self.execution)

    def _trace_id(self, execution: int) -> str:
        return self._joined[0] or trace_id(self.log["run_id"], execution)

    @property
    def _joined(self) -> tuple[str, str]:
        """Trace and span of the caller whose trace the run joined; empty texts if it did not."""
        if self._header.get("parent") != "child" or not self._header.get("traceparent"):
            return "", ""
        _, trace, span, _ = self._header["traceparent"].split("-")
        return trace, span

    @property
    def _ending(self) -> Document:
        """How the execution ended, if it reached no verdict and a process saw why."""
        endings = self._header.get("endings", ()) if self.log["status"] not in _RESULTS else ()
        return next((ending for ending in endings if ending["execution"] == self.execution), {})

    @property
    def _end_kind(self) -> str:
        """The `error.type` of what was open then: the exception that the process saw."""
        ending = self._ending
        if ending.get("result", "error") != "error":
            return str(ending["result"])
        return _cause(ending["message"]).kind if ending else "abandoned"

    @property
    def _pipeline(self) -> str:
        config = self.log["run_config"]
        defined = config.get("pipeline_definition_file") or config.get("job_definition_file")
        given = self._header.get("pipeline") or (config.get("dag") or {}).get("name")
        return self.pipeline or given or defined or "runnable"

    @property
    def _roots(self) -> list[Document]:
        steps = list(self.log["steps"].values())
        if job := self.log.get("job"):
            steps.append({**job, "name": "job", "internal_name": "job", "step_type": "job", "branches": {}})
        return steps

    def _spans(self) -> Iterator[tuple[str, Shown]]:
        config, run_id = self.log["run_config"], self.log["run_id"]
        root = self._id("run")
        began = self._began()
        ending = self._ending
        ended = [ending["at_ns"] // 1000] if ending else []
        times = [*began, *ended, *(time for step in self._roots for time in self._times(step))]
        failed = [step for step in self._roots if self._is_present(step) and step["status"] == "FAIL"]
        result: str = _RESULTS.get(self.log["status"], ending.get("result") or "error")
        cause = _cause(ending.get("message", ""))
        why = {
            "success": None,
            "failure": f"step {failed[-1]['name']} failed" if failed else "the run failed",
        }.get(result, cause.said or "it never ended")
        attempts = [attempt for step in self._roots for attempt in self._attempts_below(step)]
        seen = {name for a in attempts for key in ("input_parameters", "output_parameters") for name in a[key]}
        executor = config.get("pipeline_executor") or config.get("job_executor")
        yield (
            root,
            Shown(
                name=f"RUN {self._pipeline}",
                parent=self._joined[1],
                start=min(times),
                duration=max(times) - min(times),
                tags=self._tags(
                    "server",
                    why,
                    {
                        "cicd.pipeline.action.name": "RUN",
                        "cicd.pipeline.result": result,
                        "error.type": {"success": "", "failure": "step_failed"}.get(result, self._end_kind),
                        "runlog.host": "runnable",
                        "runlog.run.tag": self.log.get("tag") or "",
                        "runlog.run.dag_hash": self.log.get("dag_hash") or "",
                        "runlog.run.use_cached": False,
                        "runlog.run.definition": config.get("pipeline_definition_file")
                        or config.get("job_definition_file")
                        or "",
                        "runlog.run.executor": executor["service_name"],
                        "runlog.run.parameters": sorted(seen),
                        **self._commit(),
                        **(self._header.get("facts", {}) if self.execution == 1 else {}),
                        **self._retry(),
                    },
                ),
                links=frozenset(self._links()),
                events=tuple((end, _exception(cause)) for end in ended and [max(times)]),
            ),
        )
        for start in began:
            yield (
                span_id(run_id, self.execution, "start"),
                Shown(f"START {self._pipeline}", root, start, 0, self._tags("internal", None, {})),
            )
        for step in self._roots:
            yield from self._step(step, root)

    def _commit(self) -> dict[str, Any]:
        """The commit of every attempt, if it is one; clean if it was in all."""
        codes = [
            _code(attempt.get("code_identities") or ()) or _code(step.get("code_identities") or ())
            for root in self._roots
            for step in _steps(root)
            for attempt in self._attempts(step)
        ]
        known = [code for code in codes if code]
        names = ("vcs.ref.head.revision", "vcs.repository.url.full")
        if not known or any(code.get(name) != known[0].get(name) for code in known for name in names):
            return {}
        return known[0] | {"runlog.vcs.is_clean": all(code["runlog.vcs.is_clean"] for code in known)}

    def _began(self) -> list[int]:
        """When the execution began, as far as the header of runlog-otel tells."""
        header = self.log["run_config"].get("runlog_otel")
        if header is None:
            return []
        if self.before is None:
            return [_micros(datetime.fromisoformat(header["created"]))]
        known = len(self.before["run_config"]["runlog_otel"].get("retries", ()))
        return [_micros(datetime.fromisoformat(retry["started"])) for retry in header.get("retries", ())[known:]]

    def _retry(self) -> dict[str, Any]:
        """How the execution before this one ended, and which of its steps had failed then."""
        if self.before is None:
            return {}
        steps = [step for root in self.before["steps"].values() for step in _steps(root)]
        ends = [
            (self._moment(attempt, "start"), step["name"])
            for step in self.before["steps"].values()
            if step["step_type"] in _TERMINAL
            for attempt in step["attempts"]
        ]
        ends.sort()
        noted = [_micros(datetime.fromisoformat(retry["started"])) for retry in self._header.get("retries", ())]
        noted = noted[: len(self.before["run_config"]["runlog_otel"].get("retries", ()))]
        has_verdict = bool(ends) and (not noted or ends[-1][0] > noted[-1])
        began = max([0, *noted, *(end for end, _ in ends[: -1 if has_verdict else None])])
        failed = sorted(
            step["internal_name"]
            for step in steps
            if step["attempts"]
            and step["attempts"][-1]["status"] == "FAIL"
            and self._moment(step["attempts"][-1], "start") >= began
        )
        is_argo = (self.before["run_config"].get("pipeline_executor") or {}).get("service_name") == "argo"
        reason = "failure" if failed and is_argo else "error"  # on Argo a run that fails reaches no terminal node
        if has_verdict:
            reason = {"success": "success", "fail": "failure"}[ends[-1][1]]
        return {"runlog.retry.reason": reason, "runlog.retry.failed_steps": failed}

    @property
    def _header(self) -> Document:
        header: Document = (self.log.get("run_config") or {}).get("runlog_otel") or {}
        return header

    def _links(self) -> Iterator[tuple[str, str]]:
        run_id = self.log["run_id"]
        if self.before is not None:
            yield self._trace_id(self.execution - 1), span_id(run_id, self.execution - 1, "run")
            return
        header = self.log["run_config"].get("runlog_otel") or {}
        if header.get("traceparent") and not self._joined[0]:
            _, trace, span, _ = header["traceparent"].split("-")
            yield trace, span

    def _step(self, step: Document, parent: str) -> Iterator[tuple[str, Shown]]:
        if step["step_type"] in _TERMINAL or not self._is_present(step):
            return
        own, path = self._id("step", step["internal_name"]), step["internal_name"]
        is_composite = step["step_type"] in _COMPOSITE
        attempts = self._attempts(step)
        result = _RESULTS.get(step["status"], "error")
        cause = _cause(attempts[-1]["message"] if attempts else "")
        known = _facts(attempts[-1].get("code_identities") or ()).get("error") if attempts else ""
        if result == "failure" and known:
            result = _result(known)
        failed = cause.said or ("a branch failed" if is_composite else "the last attempt failed")
        why = {"success": None, "error": "it never ended"}.get(result, failed)
        kinds = {"success": "", "error": self._end_kind}
        kind = kinds.get(result, "branch_failed" if is_composite else known or cause.kind)
        start, duration = self._extent(step)
        yield (
            own,
            Shown(
                name=step["name"],
                parent=parent,
                start=start,
                duration=duration,
                tags=self._tags(
                    "internal",
                    why,
                    {
                        "cicd.pipeline.task.name": step["name"],
                        "cicd.pipeline.task.run.id": path,
                        "cicd.pipeline.task.run.result": result,
                        "error.type": kind,
                        "runlog.step.type": step["step_type"],
                        "runlog.step.is_critical": path in self._critical or "",
                    },
                ),
                events=_catalog(step, start, duration) if result == "success" else (),
            ),
        )
        for attempt in attempts:
            yield self._attempt(step, attempt, own)
        for branch in step["branches"].values():
            yield from self._branch(step, branch, own)

    def _attempt(self, step: Document, attempt: Document, parent: str) -> tuple[str, Shown]:
        path, number = step["internal_name"], attempt["attempt_number"]
        start, end = self._moment(attempt, "start"), self._moment(attempt, "end")
        failed = attempt["status"] != "SUCCESS"
        facts = _facts(attempt.get("code_identities") or ())
        cause = _cause(attempt["message"])
        kind = facts.get("error") or cause.kind
        tags = self._tags(
            "internal",
            (cause.said or "the attempt failed") if failed else None,
            {
                **facts.get("attributes", {}),
                **facts.get("annotations", {}),
                "runlog.step.name": step["name"],
                "runlog.step.path": path,
                "runlog.attempt.number": number,
                "runlog.attempt.result": _result(kind) if failed else "success",
                "runlog.attempt.retry_indicator": attempt["retry_indicator"],
                "runlog.parameters.input": sorted(attempt["input_parameters"]),
                "runlog.parameters.output": sorted(attempt["output_parameters"]),
                "error.type": kind if failed else "",
                "process.exit.code": cause.status if failed else "",
                **(_code(attempt.get("code_identities") or ()) or _code(step.get("code_identities") or ())),
                **{f"runlog.metric.{name}": value for name, value in _metrics(attempt["user_defined_metrics"])},
            },
        )
        said = [(at // 1000, {"event": name} | values) for at, name, values in facts.get("events", ())]
        own = self._id("attempt", path, number)
        return own, Shown(
            name=f"{step['name']} attempt",
            parent=parent,
            start=start,
            duration=end - start,
            tags=tags,
            events=(*said, *(((end, _exception(cause)),) if failed else ())),
        )

    def _branch(self, step: Document, branch: Document, parent: str) -> Iterator[tuple[str, Shown]]:
        if not self._is_present(branch):
            return
        path = branch["internal_name"]
        name = path.removeprefix(f"{step['internal_name']}.")
        result = _RESULTS.get(branch["status"], "error")
        own = self._id("branch", path)
        start, duration = self._extent(branch)
        tags = self._tags(
            "internal",
            {"success": None, "failure": "a step of the branch failed", "error": "it never ended"}[result],
            {
                "runlog.branch.name": name,
                "runlog.branch.path": path,
                "runlog.branch.result": result,
                "error.type": {"failure": "step_failed", "error": self._end_kind}.get(result, ""),
            },
        )
        label = "iteration" if step["step_type"] in ("map", "loop") else name
        yield own, Shown(f"{step['name']}/{label}", parent, start, duration, tags)
        for inner in branch["steps"].values():
            yield from self._step(inner, own)

    @cached_property
    def _critical(self) -> set[str]:
        """The paths of the steps of the critical path."""
        return set(self._critical_steps(self._roots, 0))

    def _critical_steps(self, steps: Iterable[Document], since: int) -> Iterator[str]:
        """Those of a graph, whose steps ran one after another: all but those that ended before the one before them."""
        timed = [
            (self._lasted(step), step) for step in steps if step["step_type"] not in _TERMINAL if self._times(step)
        ]
        for (_, end), step in sorted(timed, key=lambda item: item[0]):
            if end <= since:
                continue
            branches = [branch for branch in step["branches"].values() if self._times(branch)]
            if not branches:
                yield step["internal_name"]
            for branch in self._chain(branches):
                yield from self._critical_steps(branch["steps"].values(), max(since, self._lasted(branch)[0]))
            since = end

    def _chain(self, branches: list[Document]) -> list[Document]:
        """The branch that ended last, and before it the same of those that had ended when it began."""
        if not branches:
            return []
        ends = [(self._lasted(branch)[1], -self._lasted(branch)[0], branch["internal_name"]) for branch in branches]
        last = branches[ends.index(max(ends))]
        start = self._lasted(last)[0]
        return [*self._chain([branch for branch in branches if self._lasted(branch)[1] <= start]), last]

    def _lasted(self, part: Document) -> tuple[int, int]:
        """Start and end in nanoseconds; nothing ends when it starts."""
        times = self._times(part)
        return min(times) * 1000, max(max(times) * 1000, min(times) * 1000 + 1)

    def _is_present(self, part: Document) -> bool:
        """What was attempted in this execution; in the first one also what was begun and never attempted."""
        return bool(list(self._attempts_below(part))) or not list(_all_attempts(part))

    def _attempts(self, step: Document) -> list[Document]:
        """Attempts of the step itself that were not there before."""
        return list(step["attempts"][self._known(step["internal_name"]) :])

    def _attempts_below(self, part: Document) -> Iterator[Document]:
        for step in _steps(part):
            yield from self._attempts(step)

    def _known(self, path: str) -> int:
        if self.before is None:
            return 0
        steps = {step["internal_name"]: step for root in self.before["steps"].values() for step in _steps(root)}
        return len(steps[path]["attempts"]) if path in steps else 0

    def _times(self, part: Document) -> list[int]:
        return [self._moment(attempt, key) for attempt in self._attempts_below(part) for key in ("start", "end")]

    def _extent(self, part: Document) -> tuple[int | None, int]:
        times = self._times(part)
        return (min(times), max(times) - min(times)) if times else (None, 0)

    def _moment(self, attempt: Document, key: str) -> int:
        """A naive local time of the host, read with the offset that its process noted, else with the header's."""
        created = datetime.fromisoformat(self.log["run_config"]["runlog_otel"]["created"])
        zone = created.tzinfo
        for code in attempt.get("code_identities") or ():
            if NOTE in code or code["code_identifier_type"] == NOTE:
                noted = dict(pair.split("=") for pair in code.get(NOTE, code["code_identifier"]).split())
                zone = timezone(timedelta(seconds=int(noted[f"{key}_offset"])))
        return _micros(datetime.fromisoformat(attempt[f"{key}_time"]).replace(tzinfo=zone))

    def _tags(self, kind: str, why: str | None, own: Mapping[str, Any]) -> dict[str, Tag]:
        status: dict[str, Any] = {}
        if why is not None:
            status = {"error": True, "otel.status_code": "ERROR", "otel.status_description": why}
        common = {
            "span.kind": kind,
            "otel.scope.name": "runlog_otel",
            "otel.scope.version": "2",
            "cicd.pipeline.name": self._pipeline,
            "cicd.pipeline.run.id": self.log["run_id"],
            "runlog.execution": self.execution,
        }
        return {name: tag(value) for name, value in {**common, **status, **own}.items() if value not in ("", [])}

    def _id(self, kind: str, path: str = "", attempt: int = 0) -> str:
        return span_id(self.log["run_id"], self.execution, kind, path, attempt)


@dataclass(frozen=True)
class _Cause:
    """Why an attempt failed, as its message says it."""

    kind: str
    said: str
    message: str
    stack: str = ""
    status: int | str = ""


def _cause(text: str) -> _Cause:
    text = text.strip()
    if found := re.match(r"exit status (\d+)(\n|$)", text):
        return _Cause(f"exit_{found[1]}", text, text, status=int(found[1]))
    said, empty, stack = text.partition("\n\n")
    if empty and stack.startswith("Traceback (most recent call last):\n"):
        kind, _, message = said.partition(": ")
        return _Cause(kind, message or kind, message, stack)
    return _Cause("_OTHER", text, text)


def _exception(cause: _Cause) -> dict[str, Any]:
    exception = {"event": "exception", "exception.message": cause.message}
    exception |= {"exception.type": cause.kind, "exception.stacktrace": cause.stack} if cause.stack else {}
    return {name: text for name, text in exception.items() if text}


def _steps(part: Document) -> Iterator[Document]:
    """A step, or the steps of a branch, and all that is inside."""
    if "branches" in part:
        yield part
        for branch in part["branches"].values():
            yield from _steps(branch)
    else:
        for step in part["steps"].values():
            yield from _steps(step)


def _all_attempts(part: Document) -> Iterator[Document]:
    for step in _steps(part):
        yield from step["attempts"]


def _catalog(step: Document, start: int | None, duration: int) -> tuple[tuple[int, Mapping[str, str]], ...]:
    events: list[tuple[int, Mapping[str, str]]] = []
    for item in step["data_catalog"]:
        fields = {
            "event": "runlog.catalog.item",
            "runlog.catalog.name": item["name"],
            "runlog.catalog.stage": item["stage"],
            "runlog.catalog.hash": item["data_hash"],
            "runlog.catalog.location": item["catalog_relative_path"],
        }
        at = (start or 0) + (duration if item["stage"] == "put" else 0)
        event = (at, {name: value for name, value in fields.items() if value})
        if event not in events:
            events.append(event)
    return tuple(events)


def _code(identities: Any) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for code in identities:
        if code["code_identifier"] and code["code_identifier_type"] not in (NOTE, FACTS):
            assert code["code_identifier_type"] == "git"
            tags["vcs.ref.head.revision"] = code["code_identifier"]
            tags["vcs.repository.url.full"] = re.sub("//.*@", "//", code["code_identifier_url"]).removesuffix(".git")
            tags["runlog.vcs.is_clean"] = code["code_identifier_dependable"]
    return tags


def _facts(identities: Any) -> Document:
    is_of_facts = [code for code in identities if FACTS in code or code["code_identifier_type"] == FACTS]
    texts = [code.get(FACTS, code["code_identifier"]) for code in is_of_facts]
    facts: Document = json.loads(texts[0]) if texts else {}
    return facts


def _result(kind: str) -> str:
    """How an attempt ended that did not succeed."""
    return kind if kind in ("cancellation", "timeout") else "failure"


def _metrics(metrics: Document) -> Iterator[tuple[str, Any]]:
    def flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            for key, part in value.items():
                yield from flat(f"{name}.{key}", part)
        else:
            yield name, value

    for name, parameter in metrics.items():
        yield from flat(name, parameter["value"])


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _digest(*parts: str) -> str:
    return hashlib.sha256(b"\0".join(part.encode() for part in parts)).hexdigest()
