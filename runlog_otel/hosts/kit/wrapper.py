"""The store that users name in their config (`type: otel`): their own store, and a trace of every run.

It is transparent: every method, property, attribute and error is the inner store's. A host's class adds its base class
and what only that host has.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, PrivateAttr, SecretStr, ValidationError, model_serializer

from runlog_otel.core.model import (
    COMPOSITE_KINDS,
    FINAL_STATUSES,
    TERMINAL_KINDS,
    Ending,
    Facts,
    Header,
    SecretFingerprint,
    Step,
)
from runlog_otel.core.redaction import redacted
from runlog_otel.core.runlogs import header, json_runlog
from runlog_otel.core.runlogs.facts import FACTS, redacted_facts
from runlog_otel.core.runlogs.timestamps import NOTE, AttemptNote, TimestampParser, notes_of
from runlog_otel.errors import ConfigError
from runlog_otel.hosts.kit.adapter import HostAdapter
from runlog_otel.hosts.kit.secrets import ExposedSecrets, mask_what_the_host_prints
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from runlog_otel.live.observer import Observer

_KEYS = ("inner", "telemetry")
_GROUP = "run_log_store"
OWN_TYPE = "otel"
WITHOUT_CODE = (*TERMINAL_KINDS, *COMPOSITE_KINDS)
"""Types of steps without code of the user."""

_CLOSE = timedelta(minutes=5)
"""No offset brings a time that is so close any closer: offsets differ by a quarter of an hour or more."""

StepOf = Callable[[json_runlog.Document, TimestampParser], Step]


class Seen(NamedTuple):
    """A step as this process last saw it: its number of attempts, and when, in the time zone of that moment."""

    attempts: int
    at: datetime


def parts(config: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], Any]:
    """The two keys of the wrapper's config: `telemetry`, which is optional, and `inner`.

    Args:
        config: the wrapper's config.
        where: its place in the host's config file.

    Raises:
        ConfigError: there is another key, or `telemetry` is no mapping.
    """
    if unknown := sorted(set(config) - set(_KEYS)):
        raise ConfigError(where, f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    telemetry = config.get("telemetry") or {}
    if not isinstance(telemetry, Mapping):
        raise ConfigError(f"{where}.telemetry", "must be a mapping")
    return telemetry, config.get("inner")


def inner_store(config: Any, host: type[HostAdapter], where: str) -> Any:
    """Make the store that is wrapped.

    Args:
        config: the key `inner`: `{type, config}`, as the host writes a store.
        host: whose store it must be.
        where: its place in the host's config file.

    Raises:
        ConfigError: it is not such a mapping, no store of that type is installed, or the store's model refuses a value.
        Exception: whatever else the store's own constructor raises.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
        raise ConfigError(where, "must name the store to wrap, as {type: file-system, config: {...}}")
    if unknown := sorted(set(config) - {"type", "config"}):
        raise ConfigError(where, f"unknown key {unknown[0]!r}; known are type, config")
    kind, kwargs = config["type"], config.get("config") or {}
    if not isinstance(kwargs, Mapping):
        raise ConfigError(f"{where}.config", "must be a mapping")
    if kind == OWN_TYPE:
        raise ConfigError(f"{where}.type", "a wrapper cannot wrap a wrapper")
    from stevedore import ExtensionManager  # comes with a host
    from stevedore.driver import DriverManager
    from stevedore.exception import NoMatches

    try:
        store: Any = DriverManager(_GROUP, kind, invoke_on_load=True, invoke_kwds=dict(kwargs)).driver
    except NoMatches:
        types = sorted(set(ExtensionManager(_GROUP).names()) - {OWN_TYPE})
        raise ConfigError(f"{where}.type", f"unknown type {kind!r}; installed are {', '.join(types)}") from None
    except ValidationError as error:  # its own text would show the values
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join([where, "config", *(str(part) for part in first["loc"])])
        raise ConfigError(place, redacted(first["msg"])) from None
    if not isinstance(store, host.base):
        raise ConfigError(f"{where}.type", f"{kind!r} is not a run log store of {host.name}")
    return store


class Wrapper(BaseModel):
    """Forwards everything to the inner store, and reports to an observer what was recorded."""

    _host: ClassVar[type[HostAdapter]]
    _inner: Any = PrivateAttr()
    _settings: Settings = PrivateAttr()
    _runs: HostAdapter = PrivateAttr()
    _exposed: ExposedSecrets = PrivateAttr()
    _pipeline: str = PrivateAttr()
    """The name that the user gave the pipeline that is executed."""
    _seen: dict[tuple[str, str], Seen] = PrivateAttr()
    """(run id, step) → what the log already has: further attempts that `add_step_log` records are new."""
    _ran: Facts | None = PrivateAttr()
    """What is known of the attempt that is about to be recorded, if its code ran in this process."""

    def __init__(self, **config: Any) -> None:
        """Make the wrapper from a config with the keys `inner` and `telemetry`.

        Raises:
            ConfigError: a key is unknown, missing, or of a wrong type. The host prints the config too, which is masked.
        """
        host = self._host
        try:
            telemetry, wrapped = parts(config, host.where)
            settings = Settings.load(telemetry, os.environ, f"{host.where}.telemetry")
            inner = inner_store(wrapped, host, f"{host.where}.inner")
        except Exception:
            mask_what_the_host_prints(host.printer, config, _KEYS)
            raise
        super().__init__(**{field: getattr(inner, field) for field in _fields(host.base)})
        self._inner, self._settings, self._runs = inner, settings, host(inner, settings)
        self._exposed, self._seen, self._ran, self._pipeline = self._runs.exposed, {}, None, host.pipeline()

    @cached_property
    def _observer(self) -> "Observer":
        """Made when a run is recorded, as its modules take half of the time that it takes to import the wrapper."""
        from runlog_otel.live.observer import Observer

        return Observer(self._settings, self._runs)

    def __getattr__(self, name: str) -> Any:
        """Look up other names in the inner store (`log_folder`, methods of its own)."""
        if name.startswith("_"):
            return super().__getattr__(name)  # type: ignore[misc]
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set other names on the inner store, as executors set `log_folder`."""
        if name in self.__private_attributes__:
            vars(self)[name] = value  # pydantic's own place is found after failed look-ups: 27 a step, 60 of 560 us
        else:
            setattr(self._inner, name, value)

    def __repr_args__(self) -> Any:
        """What the host prints: the inner store's own representation, and the settings with secrets masked."""
        return [("inner", self._inner), ("telemetry", self._settings)]

    @model_serializer
    def _as_the_inner_store(self) -> dict[str, Any]:
        """What a host that dumps its context writes into each run log."""
        dumped: dict[str, Any] = self._inner.model_dump()
        return dumped

    def set_run_config(self, run_id: str, run_config: dict[str, Any], **kwargs: Any) -> Any:
        """Record the config of a new run, with our header."""
        if not self._settings.is_active:
            return self._inner.set_run_config(run_id, run_config, **kwargs)
        from runlog_otel.live.start import start_entry  # by the process that starts the run

        marks = self._observer.guard(lambda: self._marks_in_config(run_config, run_id)) or ()
        entry = start_entry(self._observer, self._pipeline, self._host.prefix)
        config = run_config | header.config_from_header(datetime.now().astimezone(), entry, marks)
        answer = self._inner.set_run_config(run_id, config, **kwargs)
        self._observer.guard(lambda: self._run_started(run_id, config))
        return answer

    def _run_started(self, run_id: str, run_config: dict[str, Any]) -> None:
        run = json_runlog.run_from_log(self._host.initial_log(run_id, run_config), self._settings.pipeline)
        self._observer.run_started(run, is_orchestrator=self._host.is_orchestrator())

    def put_run_log(self, run_log: Any, **kwargs: Any) -> Any:
        """Record the run log; on Argo a failed run ends with this call."""
        answer = self._inner.put_run_log(run_log, **kwargs)
        self._may_be_complete(run_log.run_id, run_log.status)
        return answer

    def get_step_log(self, internal_name: str, run_id: str, **kwargs: Any) -> Any:
        """Return the step, and remember how many attempts it has."""
        step_log = self._inner.get_step_log(internal_name, run_id, **kwargs)
        self._learn_secrets()
        self._see(run_id, internal_name, step_log)
        return step_log

    def add_step_log(self, step_log: Any, run_id: str, **kwargs: Any) -> Any:
        """Record the step; its new attempts are final now."""
        if not step_log.attempts and self._attempts_seen(run_id, step_log.internal_name):
            step_log = self._begun_again(step_log, run_id)
        self._note(run_id, step_log.internal_name, step_log)
        answer = self._inner.add_step_log(step_log, run_id, **kwargs)
        self._attempted(run_id, step_log.internal_name, step_log, json_runlog.step_from_log)
        if step_log.step_type in TERMINAL_KINDS and "." not in step_log.internal_name and step_log.attempts:
            self._observer.execution_may_be_complete(run_id)
        return answer

    def _learn_secrets(self) -> None:
        if not self._exposed.has_looked:
            self._observer.guard(self._exposed.learn_of_context)

    def _marks_in_config(self, run_config: dict[str, Any], run_id: str) -> list[SecretFingerprint]:
        self._learn_secrets()
        if connection_string := _connection_string(self._inner):
            from runlog_otel.stores.connection_string import placeholders

            self._exposed.learn(placeholders(connection_string))
        return self._exposed.marks_in(run_config, run_id)

    def _may_be_complete(self, run_id: str, status: str) -> None:
        """The run now has this status, which ends a run without a terminal step."""
        if status in FINAL_STATUSES:
            self._observer.execution_may_be_complete(run_id)

    def execution_raised(self, run_id: str, error: BaseException) -> None:
        """The host raised while it executed a run."""

        def ending_of(execution: int) -> Ending:
            from runlog_otel.live.ending import ending_from

            return ending_from(error, execution, self._observer.masked)

        self._observer.execution_raised(run_id, ending_of)

    def _begun_again(self, step_log: Any, run_id: str) -> Any:
        """A step that the host starts again within a run (a map with equal values), with its earlier attempts."""

        def merged() -> Any:
            before = self._inner.get_step_log(step_log.internal_name, run_id)
            notes = {}
            if hasattr(step_log, "code_identities"):
                own = [code for code in before.code_identities if code.code_identifier_type in (NOTE, FACTS)]
                notes = {"code_identities": [*step_log.code_identities, *own]}
            return step_log.model_copy(update={"attempts": before.attempts, **notes})

        return self._observer.guard(merged) or step_log

    def _see(self, run_id: str, path: str, logged: Any) -> None:
        self._seen[run_id, path] = Seen(len(logged.attempts), datetime.now().astimezone())

    def _note(self, run_id: str, path: str, logged: Any) -> None:
        """Add to new attempts what only this process knows; see `timestamps` and `facts` in `runlog_otel.core.runlogs`.

        The host reads a step's log right before its code runs: the start is near that moment, the end near this one.
        """

        def note() -> None:
            now = datetime.now().astimezone()
            ran = redacted_facts(self._ran, self._observer.masked) if self._ran else None
            seen = self._seen.get((run_id, path), Seen(0, now))
            notes = notes_of(_codes(logged) | {"attempts": list(map(_codes, logged.attempts))})
            for index, attempt in enumerate(logged.attempts[seen.attempts :], seen.attempts):
                if notes[index] == AttemptNote():
                    offsets = utc_offset_seconds(attempt.start_time, seen.at), utc_offset_seconds(attempt.end_time, now)
                    facts = ran if attempt is logged.attempts[-1] else None
                    self._add_note(logged, index, AttemptNote(self._observer.execution_number(run_id), *offsets), facts)

        if len(logged.attempts) > self._attempts_seen(run_id, path):
            self._observer.guard(note)

    def _add_note(self, logged: Any, index: int, note: AttemptNote, facts: Facts | None) -> None:
        """Add both as code identities to the attempt, or to its step where the host keeps them there."""
        raise NotImplementedError

    def _attempts_seen(self, run_id: str, path: str) -> int:
        seen = self._seen.get((run_id, path))
        return seen.attempts if seen else 0

    def _attempted(self, run_id: str, path: str, logged: Any, step_of: StepOf) -> bool:
        """Report the new attempts of a recorded step or job; return whether there are any."""
        first = self._attempts_seen(run_id, path)
        self._see(run_id, path, logged)
        is_new = len(logged.attempts) > first
        if is_new:
            self._observer.attempts_recorded(run_id, first, self._mapped(logged, step_of))
        return is_new

    def _mapped(self, logged: Any, step_of: StepOf) -> Callable[[Header], Step]:
        """What maps a recorded step or job, with times as the run's header defines them."""
        zone = self._settings.zone
        return lambda header: step_of(logged.model_dump(exclude={"branches"}), TimestampParser(header, zone))


def _codes(part: Any) -> dict[str, Any]:
    """The code identities of a step or an attempt, if the host keeps them there."""
    return {"code_identities": [code.model_dump() for code in getattr(part, "code_identities", ())]}


def utc_offset_seconds(text: str, near: datetime) -> int | None:
    """The UTC offset of a naive local time; None for a time with an offset or a malformed one.

    It is the candidate that brings the time closest to `near`: the offset of `near` (a step's code may have changed the
    process's zone since), or one of the zone's, which are two when clocks are put back.
    """
    try:
        naive = datetime.fromisoformat(text)
        if naive.tzinfo is not None:
            return None
        if abs(naive.replace(tzinfo=near.tzinfo) - near) < _CLOSE:
            return int((near.utcoffset() or timedelta()).total_seconds())
        moments = (near, *(naive.replace(fold=fold).astimezone() for fold in (0, 1)))
        offsets = [moment.utcoffset() or timedelta() for moment in moments]
        best = min(offsets, key=lambda offset: abs(naive.replace(tzinfo=timezone(offset)) - near))
    except (ValueError, OverflowError):
        return None
    return int(best.total_seconds())


def add_forwarders(wrapper: type[Wrapper]) -> None:
    """Forward every other public name of the host's base class, also those that a later version adds."""
    base = wrapper._host.base
    own = {*vars(wrapper), *vars(Wrapper)}
    for name in dir(base):
        if name.startswith("_") or name in own or hasattr(BaseModel, name):
            continue
        if name in _fields(base) or isinstance(getattr(base, name), property):
            continue
        setattr(wrapper, name, _forwarding(name))
    for field in _fields(base):
        setattr(wrapper, field, _inner_field(field))
    for name in ("model_dump", "model_dump_json"):
        setattr(wrapper, name, _forwarding(name))
    wrapper.__abstractmethods__ = frozenset()


def _fields(base: Any) -> list[str]:
    return list(base.model_fields)


def _forwarding(name: str) -> Callable[..., Any]:
    def forward(self: Wrapper, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._inner, name)(*args, **kwargs)

    forward.__name__ = name
    forward.__doc__ = f"Call `{name}` of the inner store."
    return forward


def _inner_field(name: str) -> property:
    def read(self: Wrapper) -> Any:
        return getattr(self._inner, name)

    return property(read)


def _connection_string(store: Any) -> str:
    """The connection string of a database's store, with placeholders of secrets; empty for any other store."""
    value = getattr(store, "connection_string", "")
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)
