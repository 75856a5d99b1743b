"""Run log stores that record or break, and a program that calls each public method of them through the wrapper."""

import copy
import inspect
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from extensions.run_log_store.chunked_fs import ChunkedFileSystemRunLogStore
from pydantic import BaseModel, PrivateAttr
from runnable.datastore import BaseRunLogStore, BranchLog, JobLog, RunLog, StepLog

METHODS = [
    name
    for name in dir(BaseRunLogStore)
    if not name.startswith("_") and not hasattr(BaseModel, name) and callable(getattr(BaseRunLogStore, name))
]
SAMPLES: dict[str, Any] = {
    "run_id": "r",
    "full": True,
    "run_log": RunLog(run_id="r", status="PROCESSING"),
    "step_log": StepLog(name="s", internal_name="s", status="SUCCESS"),
    "branch_log": BranchLog(internal_name="s.b"),
    "job_log": JobLog(status="PROCESSING"),
    "parameters": {},
    "run_config": {"some": "config"},
}
"""An argument for each parameter that an observer may look at; for all others any text does."""


class ProbeError(Exception):
    """The error of a broken store, and of no one else."""


class RecordingStore(BaseRunLogStore):  # type: ignore[misc]  # the host has no type information
    """Answers every method with an object of its own, and remembers who was called how."""

    service_name: str = "recording"
    supports_parallel_writes: bool = True
    log_folder: str = "somewhere"
    _calls: list[tuple[str, Any, Any]] = PrivateAttr(default_factory=list)
    _answers: dict[str, Any] = PrivateAttr(default_factory=dict)

    def method_of_its_own(self, word: str) -> str:
        """Not known to the base class."""
        return f"{word} from {self.service_name}"


class BrokenStore(BaseRunLogStore):  # type: ignore[misc]
    """Raises at every method."""

    service_name: str = "broken"
    _raised: list[ProbeError] = PrivateAttr(default_factory=list)


class WatchedStore(ChunkedFileSystemRunLogStore):  # type: ignore[misc]
    """Works until the method of the variable BREAKS is called; notes its calls in the file of the variable CALLS."""


def _recording(name: str) -> Callable[..., Any]:
    def record(self: RecordingStore, *args: Any, **kwargs: Any) -> Any:
        self._calls.append((name, args, kwargs))
        answers = {"get_run_log_by_id": SAMPLES["run_log"], "get_step_log": SAMPLES["step_log"]}
        answers["get_job_log"] = SAMPLES["job_log"]
        return self._answers.setdefault(name, answers.get(name, object()))

    return record


def _broken(name: str) -> Callable[..., Any]:
    def break_(self: BrokenStore, *_: Any, **__: Any) -> Any:
        self._raised.append(ProbeError(f"{name} is broken", len(self._raised)))
        raise self._raised[-1]

    return break_


def _watched(name: str) -> Callable[..., Any]:
    def note_and_work(self: WatchedStore, *args: Any, **kwargs: Any) -> Any:
        if os.environ.get("BREAKS") == name:
            raise ProbeError(f"{name} is broken")
        if path := os.environ.get("CALLS"):
            is_full = kwargs.get("full") or True in args
            with Path(path).open("a", encoding="utf-8", buffering=1) as file:
                file.write(f"{name} of all\n" if is_full else f"{name}\n")
        return getattr(ChunkedFileSystemRunLogStore, name)(self, *args, **kwargs)

    return note_and_work


for _store, _make in ((RecordingStore, _recording), (BrokenStore, _broken), (WatchedStore, _watched)):
    for _name in METHODS:
        setattr(_store, _name, _make(_name))
    _store.__abstractmethods__ = frozenset()


class DemandingStore(RecordingStore):
    """Cannot do without a setting."""

    connection_string: str
    table: str


def wrapped(kind: str, **telemetry: Any) -> Any:
    """The wrapper around a store."""
    from runlog_otel.hosts.runnable.wrapper import OtelRunLogStore

    telemetry.setdefault("endpoint", f"file://{Path.cwd()}/spans.jsonl")
    return OtelRunLogStore(inner={"type": kind, "config": {}}, telemetry=telemetry)


def forwards(name: str, *, by_keyword: bool, enabled: bool) -> bool:
    """Whether a method gets to the inner store first, as it was called, and its answer comes back."""
    wrapper = wrapped("recording", enabled=enabled)
    inner = wrapper._inner
    parameters = list(inspect.signature(getattr(BaseRunLogStore, name)).parameters)[1:]
    arguments = {parameter: copy.deepcopy(SAMPLES.get(parameter, f"any {parameter}")) for parameter in parameters}
    sent = copy.deepcopy(arguments)
    method = getattr(wrapper, name)
    answer = method(**arguments) if by_keyword else method(*arguments.values())
    called, args, kwargs = inner._calls[0]
    received = dict(zip(parameters, args, strict=False)) | kwargs
    if name == "set_run_config" and enabled:
        received["run_config"].pop("runlog_otel")  # the header, which is what the wrapper is for
    returns = answer is inner._answers[name]
    return called == name and all(received[key] == value for key, value in sent.items() if key in received) and returns


def passes_on_the_error(name: str, *, enabled: bool) -> bool:
    """Whether the very error of the inner store comes out, after one call."""
    wrapper = wrapped("broken", enabled=enabled)
    parameters = list(inspect.signature(getattr(BaseRunLogStore, name)).parameters)[1:]
    try:
        getattr(wrapper, name)(**{parameter: SAMPLES.get(parameter, "any") for parameter in parameters})
    except ProbeError as error:
        return error is wrapper._inner._raised[0] and error.args == (f"{name} is broken", 0)
    return False


def attributes() -> dict[str, Any]:
    """What is read and written from outside."""
    wrapper = wrapped("recording")
    inner = wrapper._inner
    before = [wrapper.service_name, wrapper.service_type, wrapper.supports_parallel_writes, wrapper.log_folder]
    wrapper.log_folder = "elsewhere"
    wrapper.service_name = "renamed"
    try:
        wrapper.no_such_attribute  # noqa: B018
        missing = ""
    except AttributeError as error:
        missing = str(error)
    return {
        "before": before,
        "after": [inner.log_folder, wrapper.log_folder, inner.service_name, wrapper.service_name],
        "own method": wrapper.method_of_its_own("greetings"),
        "missing": missing,
        "is a store": isinstance(wrapper, BaseRunLogStore),
        "dumps alike": wrapper.model_dump() == inner.model_dump()
        and wrapper.model_dump_json() == inner.model_dump_json(),
    }


def copies() -> dict[str, Any]:
    """A wrapper that was used, taken through pickle and copy."""
    ways: dict[str, Callable[[Any], Any]] = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "copy": copy.deepcopy}
    found = {}
    for name, duplicate in ways.items():
        wrapper = wrapped("chunked-fs")
        wrapper.create_run_log(f"of {name}", status="PROCESSING")
        wrapper.set_run_config(f"of {name}", {})
        twin = duplicate(wrapper)
        twin.log_folder = "logs of the twin"
        twin.create_run_log(f"of twin by {name}", status="PROCESSING")
        found[name] = [type(twin) is type(wrapper), twin.service_name, wrapper.log_folder, twin.log_folder]
    return found


def found() -> dict[str, Any]:
    """All of it."""
    return {
        "methods": {
            name: {
                "positional": forwards(name, by_keyword=False, enabled=True),
                "keyword": forwards(name, by_keyword=True, enabled=True),
                "disabled": forwards(name, by_keyword=True, enabled=False),
                "error": passes_on_the_error(name, enabled=True),
                "error, disabled": passes_on_the_error(name, enabled=False),
            }
            for name in METHODS
        },
        "attributes": attributes(),
        "copies": copies(),
    }
