"""The wrapper is the inner store to everybody who looks. Run in magnus's environment."""

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from magnus.catalog import DoNothingCatalog
from magnus.context import Context
from magnus.datastore import BaseRunLogStore, BranchLog, RunLog, StepLog
from magnus.experiment_tracker import DoNothingTracker
from magnus.extensions.executor.local.implementation import LocalExecutor
from magnus.extensions.run_log_store.chunked_file_system.implementation import ChunkedFileSystemRunLogStore
from magnus.secrets import DoNothingSecretManager
from pydantic import BaseModel, PrivateAttr

from runlog_otel.hosts.magnus.plugins import OtelRunLogStore

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
    "parameters": {},
    "run_config": {"some": "config"},
    "status": "SUCCESS",
}


class ProbeError(Exception):
    """The error of a broken store, and of no one else."""


class RecordingStore(BaseRunLogStore):  # type: ignore[misc]
    """Answers every method with an object of its own, and remembers who was called how."""

    service_name: str = "recording"
    log_folder: str = "somewhere"
    _calls: list[tuple[str, Any, Any]] = PrivateAttr(default_factory=list)
    _answers: dict[str, Any] = PrivateAttr(default_factory=dict)

    def method_of_its_own(self, word: str) -> str:
        """Not known to the base class."""
        return f"{word} from {self.service_name}"


class BrokenStore(BaseRunLogStore):  # type: ignore[misc]
    """Raises at every method."""

    _raised: list[ProbeError] = PrivateAttr(default_factory=list)


def _recording(name: str) -> Callable[..., Any]:
    def record(self: RecordingStore, *args: Any, **kwargs: Any) -> Any:
        self._calls.append((name, args, kwargs))
        answers = {"get_run_log_by_id": SAMPLES["run_log"], "get_step_log": SAMPLES["step_log"]}
        return self._answers.setdefault(name, answers.get(name, object()))

    return record


def _broken(name: str) -> Callable[..., Any]:
    def break_(self: BrokenStore, *_: Any, **__: Any) -> Any:
        self._raised.append(ProbeError(name))
        raise self._raised[-1]

    return break_


for _store, _make in ((RecordingStore, _recording), (BrokenStore, _broken)):
    for _name in METHODS:
        setattr(_store, _name, _make(_name))
    _store.__abstractmethods__ = frozenset()


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution with the stores above, as if it were installed."""
    information = tmp_path / "site" / "runlog_probe-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: runlog-probe\nVersion: 1\n")
    lines = [f"{name} = {__name__}:{store}" for name, store in [("rec", "RecordingStore"), ("broken", "BrokenStore")]]
    (information / "entry_points.txt").write_text("\n".join(["[run_log_store]", *lines]))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    from stevedore import ExtensionManager

    ExtensionManager.ENTRY_POINT_CACHE.clear()
    yield
    ExtensionManager.ENTRY_POINT_CACHE.clear()


def wrapped(kind: str, **telemetry: Any) -> Any:
    telemetry.setdefault("endpoint", f"file://{Path.cwd()}/spans.jsonl")
    return OtelRunLogStore(inner={"type": kind}, telemetry=telemetry)


def arguments_of(name: str) -> dict[str, Any]:
    parameters = inspect.signature(getattr(BaseRunLogStore, name)).parameters.values()
    own = [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    return {parameter: copy.deepcopy(SAMPLES.get(parameter, f"any {parameter}")) for parameter in own}


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("is_by_keyword", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_every_public_method_reaches_the_inner_store(name: str, is_by_keyword: bool, is_enabled: bool) -> None:
    """It arrives as it was called, and its answer is the inner store's."""
    wrapper = wrapped("rec", enabled=is_enabled)
    arguments = arguments_of(name)
    more = {"of_an_integration": 1} if is_by_keyword and name != "update_run_log_status" else {}
    method = getattr(wrapper, name)
    answer = method(**arguments, **more) if is_by_keyword else method(*arguments.values())
    called, args, kwargs = wrapper._inner._calls[0]
    received = dict(zip(arguments, args, strict=False)) | kwargs
    if name == "set_run_config" and is_enabled:
        assert set(received["run_config"].pop("runlog_otel")) - {"facts"} == {"created", "traceparent"}
    assert (called, received) == (name, arguments_of(name) | more)
    assert answer is wrapper._inner._answers[name]


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_the_error_of_a_broken_store_comes_out_itself(name: str, is_enabled: bool) -> None:
    """It is the very object that the host gets, after one call."""
    wrapper = wrapped("broken", enabled=is_enabled)
    with pytest.raises(ProbeError) as caught:
        getattr(wrapper, name)(**arguments_of(name))
    assert caught.value is wrapper._inner._raised[0]
    assert caught.value.args == (name,)


def test_attributes_are_the_inner_stores() -> None:
    """Integrations match `service_name`, and set `log_folder`: all on the inner store."""
    wrapper = wrapped("rec")
    before = [wrapper.service_name, wrapper.service_type, wrapper.log_folder, wrapper.method_of_its_own("greetings")]
    assert before == ["recording", "run_log_store", "somewhere", "greetings from recording"]
    wrapper.log_folder = "elsewhere"
    assert (wrapper._inner.log_folder, wrapper.log_folder) == ("elsewhere", "elsewhere")
    with pytest.raises(AttributeError, match="'RecordingStore' object has no attribute 'no_such_attribute'"):
        wrapper.no_such_attribute  # noqa: B018
    assert wrapper.model_dump() == wrapper._inner.model_dump()
    assert isinstance(wrapper, BaseRunLogStore)


def test_the_context_dumps_and_prints_the_inner_store_and_no_secret() -> None:
    """magnus writes the dump of its context into each run log, and prints the context."""
    telemetry = {"headers": {"authorization": "Bearer canary"}, "endpoint": "http://u:canary@127.0.0.1:9"}
    wrapper = wrapped("chunked-fs", **telemetry)
    context = Context(
        executor=LocalExecutor(),
        run_log_store=wrapper,
        secrets_handler=DoNothingSecretManager(),
        catalog_handler=DoNothingCatalog(),
        experiment_tracker=DoNothingTracker(),
    )
    assert context.model_dump(by_alias=True)["run_log_store"] == ChunkedFileSystemRunLogStore().model_dump()
    assert "ChunkedFileSystemRunLogStore(" in repr(context)
    assert "authorization" in repr(context)
    assert "canary" not in repr(context)


def test_a_used_wrapper_can_be_copied_and_pickled() -> None:
    """A copy is a wrapper of a store of its own, which works."""
    ways: list[Callable[[Any], Any]] = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
    for duplicate in ways:
        wrapper = wrapped("chunked-fs")
        wrapper.log_folder = "logs"
        wrapper.create_run_log(run_id=duplicate.__name__, status="PROCESSING")
        wrapper.set_run_config(duplicate.__name__, {})
        twin = duplicate(wrapper)
        twin.log_folder = "logs of the twin"
        twin.create_run_log(duplicate.__name__, status="PROCESSING")
        assert (type(twin), twin.service_name, wrapper.log_folder) == (OtelRunLogStore, "chunked-fs", "logs")
