"""The store that users name in their config (`type: otel`): their own store, and a trace of every run.

It is invisible: every method, property and attribute is the inner store's, its errors too.
"""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, PrivateAttr
from runnable import context, defaults
from runnable.datastore import BaseRunLogStore, JobLog, RunLog, StepLog
from stevedore import ExtensionManager
from stevedore.driver import DriverManager
from stevedore.exception import NoMatches

from runlog_otel.errors import ConfigError
from runlog_otel.hosts.runnable import log
from runlog_otel.hosts.runnable.runs import RunnableRuns, mapped
from runlog_otel.model import Header, Run, Step
from runlog_otel.observer import Observer
from runlog_otel.redaction import mask_in_place
from runlog_otel.settings import Settings

_WHERE = "run-log-store.config"
_GROUP = "run_log_store"
OWN_TYPE = "otel"


def inner_store(config: Any) -> BaseRunLogStore:
    """Make the store that is wrapped.

    Args:
        config: the key `inner`: `{type, config}`, as the host writes a store.

    Raises:
        ConfigError: it is not such a mapping, or no store of that type is installed.
        Exception: whatever the store's own constructor raises.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
        raise ConfigError(f"{_WHERE}.inner", "must name the store to wrap, as {type: file-system, config: {...}}")
    if unknown := sorted(set(config) - {"type", "config"}):
        raise ConfigError(f"{_WHERE}.inner", f"unknown key {unknown[0]!r}; known are type, config")
    kind, kwargs = config["type"], config.get("config") or {}
    if not isinstance(kwargs, Mapping):
        raise ConfigError(f"{_WHERE}.inner.config", "must be a mapping")
    if kind == OWN_TYPE:
        raise ConfigError(f"{_WHERE}.inner.type", "a wrapper cannot wrap a wrapper")
    try:
        store: Any = DriverManager(_GROUP, kind, invoke_on_load=True, invoke_kwds=dict(kwargs)).driver
    except NoMatches:
        known = sorted(set(ExtensionManager(_GROUP).names()) - {OWN_TYPE})
        raise ConfigError(f"{_WHERE}.inner.type", f"unknown type {kind!r}; installed are {', '.join(known)}") from None
    if not isinstance(store, BaseRunLogStore):
        raise ConfigError(f"{_WHERE}.inner.type", f"{kind!r} is not a run log store of runnable")
    return store


class OtelRunLogStore(BaseRunLogStore):  # type: ignore[misc]  # the host has no type information
    """Forwards everything to the inner store, and tells an observer what was recorded."""

    _inner: BaseRunLogStore = PrivateAttr()
    _observer: Observer = PrivateAttr()
    _seen: dict[tuple[str, str], int] = PrivateAttr(default_factory=dict)
    """(run id, step) → attempts that are in the log already: what `add_step_log` brings beyond them is new."""

    def __init__(self, **config: Any) -> None:
        """Make the wrapper of a config with the keys `inner` and `telemetry`.

        Raises:
            ConfigError: a key is unknown, missing, or of a wrong type. The host prints the config with it: so masked.
        """
        try:
            if unknown := sorted(set(config) - {"inner", "telemetry"}):
                raise ConfigError(_WHERE, f"unknown key {unknown[0]!r}; known are inner, telemetry")
            telemetry = config.get("telemetry") or {}
            if not isinstance(telemetry, Mapping):
                raise ConfigError(f"{_WHERE}.telemetry", "must be a mapping")
            settings = Settings.load(telemetry, os.environ, f"{_WHERE}.telemetry")
            inner = inner_store(config.get("inner"))
        except Exception:
            for value in config.values():
                mask_in_place(value)
            raise
        super().__init__(**{field: getattr(inner, field) for field in BaseRunLogStore.model_fields})
        own = {"_inner": inner, "_observer": Observer(settings, RunnableRuns(inner, settings)), "_seen": {}}
        object.__setattr__(self, "__pydantic_private__", own)

    def __getattr__(self, name: str) -> Any:
        """What the wrapper does not have, the inner store may have (`log_folder`, methods of its own)."""
        if name.startswith("_"):
            return super().__getattr__(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Executors set `log_folder`: the inner store's attributes are set there."""
        setattr(self._inner, name, value)

    def __repr_args__(self) -> Any:
        """What the host prints: the inner store as it shows itself, settings masked."""
        return [("inner", self._inner), ("telemetry", self._observer.settings)]

    def set_run_config(self, run_id: str, run_config: dict[str, Any]) -> None:
        """Add the header to the config of a new run; see `BaseRunLogStore.set_run_config`."""
        if not self._observer.settings.is_active:
            self._inner.set_run_config(run_id, run_config)
            return
        header = log.config_from_header(datetime.now().astimezone(), _caller())
        self._inner.set_run_config(run_id, run_config | header)
        run = self._run_from_config(run_id, run_config | header)
        self._observer.run_started(run, is_starter=_is_starter())

    def get_run_log_by_id(self, run_id: str, full: bool = False) -> RunLog:
        """See `BaseRunLogStore.get_run_log_by_id`. A retry begins with the whole log."""
        run_log = self._inner.get_run_log_by_id(run_id, full)
        if full:
            self._observer.retry_started(
                lambda: mapped(run_log, self._observer.settings), run_id, is_starter=_is_starter()
            )
        return run_log

    def put_run_log(self, run_log: RunLog) -> None:
        """See `BaseRunLogStore.put_run_log`. On Argo it is how a run fails."""
        self._inner.put_run_log(run_log)
        if run_log.status in (defaults.SUCCESS, defaults.FAIL):
            self._observer.execution_may_be_complete(run_log.run_id)

    def get_step_log(self, internal_name: str, run_id: str) -> StepLog:
        """See `BaseRunLogStore.get_step_log`."""
        step_log = self._inner.get_step_log(internal_name, run_id)
        self._seen[run_id, internal_name] = len(step_log.attempts)
        return step_log

    def add_step_log(self, step_log: StepLog, run_id: str) -> None:
        """See `BaseRunLogStore.add_step_log`. Attempts that were not there before are final now."""
        self._inner.add_step_log(step_log, run_id)
        self._attempted(run_id, step_log.internal_name, step_log, log.step_from_log)
        if step_log.step_type in ("success", "fail") and "." not in step_log.internal_name and step_log.attempts:
            self._observer.execution_may_be_complete(run_id)

    def get_job_log(self, run_id: str) -> JobLog:
        """See `BaseRunLogStore.get_job_log`."""
        job_log = self._inner.get_job_log(run_id)
        self._seen[run_id, log.JOB_STEP] = len(job_log.attempts)
        return job_log

    def add_job_log(self, run_id: str, job_log: JobLog) -> None:
        """See `BaseRunLogStore.add_job_log`: it sets the run's status too."""
        self._inner.add_job_log(run_id, job_log)
        self._attempted(run_id, log.JOB_STEP, job_log, log.step_from_job)
        if job_log.status in (defaults.SUCCESS, defaults.FAIL):
            self._observer.execution_may_be_complete(run_id)

    def _attempted(
        self,
        run_id: str,
        path: str,
        logged: StepLog | JobLog,
        step_of: Callable[[Mapping[str, Any], log.Clock], Step],
    ) -> None:
        first = self._seen.get((run_id, path), 0)
        self._seen[run_id, path] = len(logged.attempts)
        if len(logged.attempts) > first:
            zone = self._observer.settings.zone

            def step(header: Header) -> Step:
                return step_of(logged.model_dump(exclude={"branches"}), log.Clock(header, zone))

            self._observer.attempts_recorded(run_id, first, step)

    def _run_from_config(self, run_id: str, config: Mapping[str, Any]) -> Run:
        document = {"run_id": run_id, "status": defaults.PROCESSING, "steps": {}, "run_config": config}
        return log.run_from_log(document, self._observer.settings.pipeline)


def _forwarding(name: str) -> Callable[..., Any]:
    def forward(self: OtelRunLogStore, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._inner, name)(*args, **kwargs)

    forward.__name__ = name
    forward.__doc__ = f"See `BaseRunLogStore.{name}`."
    return forward


def _inner_field(name: str) -> property:
    def read(self: OtelRunLogStore) -> Any:
        return getattr(self._inner, name)

    return property(read)


def _forward_the_rest() -> None:
    """Every other public name of the base class is the inner store's, those too that a later host brings."""
    own = vars(OtelRunLogStore)
    for name in dir(BaseRunLogStore):
        if name.startswith("_") or name in own or hasattr(BaseModel, name):
            continue
        if name in BaseRunLogStore.model_fields or isinstance(getattr(BaseRunLogStore, name), property):
            continue
        setattr(OtelRunLogStore, name, _forwarding(name))
    for field in BaseRunLogStore.model_fields:
        setattr(OtelRunLogStore, field, _inner_field(field))
    for name in ("model_dump", "model_dump_json"):
        setattr(OtelRunLogStore, name, _forwarding(name))
    OtelRunLogStore.__abstractmethods__ = frozenset()


_forward_the_rest()


def _is_starter() -> bool:
    """Whether this process takes the run from its start to its end (`BaseExecutor`), and no orchestrator elsewhere."""
    current: Any = context.get_run_context()
    executor = getattr(current, "pipeline_executor", None) or getattr(current, "job_executor", None)
    return bool(getattr(executor, "_should_setup_run_log_at_traversal", False))


def _caller() -> str:
    """The caller's trace context: the span that is current in this process, else the variable TRACEPARENT."""
    if "opentelemetry.trace" in sys.modules:
        span = sys.modules["opentelemetry.trace"].get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return os.environ.get("TRACEPARENT", "")
