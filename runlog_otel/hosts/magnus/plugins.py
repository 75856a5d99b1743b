"""magnus (0.5.1): its runs, the wrapper (`type: otel`) and our stores (`type: sql`, `db`, `memory`) as its stores.

It only adapts: magnus's signatures take any further keyword, parameters are plain values, and there is no retry.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from magnus import context, datastore, defaults, exceptions, sdk, utils
from magnus.datastore import BaseRunLogStore, BranchLog, CodeIdentity, RunLog, StepLog
from magnus.extensions.executor import GenericExecutor
from pydantic import PrivateAttr
from typing_extensions import override

from runlog_otel.core.model import Facts, Run
from runlog_otel.core.runlogs import json_runlog
from runlog_otel.core.runlogs.facts import code_from_facts
from runlog_otel.core.runlogs.timestamps import AttemptNote, code_from_note
from runlog_otel.errors import ConfigError
from runlog_otel.hosts.kit import adapter
from runlog_otel.hosts.kit.raising import Reporting
from runlog_otel.hosts.kit.stack import frame_of
from runlog_otel.hosts.kit.stores import DocumentPlugin, MemoryPlugin, SqlPlugin
from runlog_otel.hosts.kit.wrapper import WITHOUT_CODE, Wrapper, add_forwarders
from runlog_otel.live.attempt_context import AttemptScope

_TRAVERSING = ("local", "local-container", "mocked")
"""Executors whose process runs the whole graph; for the others (`argo`), an orchestrator does."""
_CONFIG_FILES = ("MAGNUS_CONFIGURATION_FILE", defaults.MAGNUS_CONFIG_FILE)
"""`magnus.sdk.Pipeline.execute` reads the first; the command line of magnus sets the second for its children."""


class HostAdapter(adapter.HostAdapter):
    """The runs in a store of magnus."""

    name = json_runlog.MAGNUS
    where = "run_log_store.config"
    base: ClassVar[type] = BaseRunLogStore
    not_found: ClassVar[type[Exception]] = exceptions.RunLogNotFoundError
    no_secret: ClassVar[type[Exception]] = exceptions.SecretNotFoundError
    printer = "get_provider_by_name_and_type"
    prefix = "MAGNUS_"

    @staticmethod
    @override
    def config_file() -> str:
        return next(filter(None, map(os.environ.get, _CONFIG_FILES)), defaults.USER_CONFIG_FILE)

    @staticmethod
    @override
    def choose(config_file: str) -> None:
        os.environ.update(dict.fromkeys(_CONFIG_FILES, config_file))

    @staticmethod
    @override
    def service(config_file: str) -> Any:
        """Refuse a key of older versions, which magnus ignores."""
        if service := _service("run_log_store", config_file):
            return service
        if _service("run_log", config_file):
            raise ConfigError(config_file, "magnus 0.5.1 ignores run_log; it reads run_log_store")
        return defaults.DEFAULT_RUN_LOG_STORE

    @staticmethod
    @override
    def is_orchestrator() -> bool:
        executor = getattr(context.run_context, "executor", None)
        return getattr(executor, "service_name", "") in _TRAVERSING

    @staticmethod
    @override
    def secrets() -> Any:
        handler = getattr(context.run_context, "secrets_handler", None)
        if handler is None:
            config = _service("secrets", HostAdapter.config_file()) or defaults.DEFAULT_SECRETS
            handler = utils.get_provider_by_name_and_type("secrets", config)
        return handler

    @staticmethod
    @override
    def graph() -> Any:
        dag = getattr(context.run_context, "dag", None)
        return dag.model_dump() if dag is not None else None

    @staticmethod
    @override
    def pipeline() -> str:
        """Its log does not have the name, but `Pipeline.execute` makes the store."""
        frame = frame_of((sdk.Pipeline.execute.__code__,))
        return str(frame.f_locals["self"].name) if frame else ""

    @staticmethod
    @override
    def initial_log(run_id: str, run_config: Mapping[str, Any]) -> json_runlog.Document:
        document: json_runlog.Document = RunLog(
            run_id=run_id, status=defaults.PROCESSING, run_config=dict(run_config)
        ).model_dump()
        return document

    @override
    def document(self, run_id: str) -> dict[str, Any]:
        self.refuse_odd_files(run_id)
        document: dict[str, Any] = _whole_run_log(self.store, run_id).model_dump()
        return document

    @override
    def put(self, document: Mapping[str, Any]) -> None:
        """Write branches, steps and parameters one by one to a chunked store."""
        run_log = RunLog(**document)
        self.refuse_odd_files(run_log.run_id)
        if not _is_chunked(self.store):
            self.store.put_run_log(run_log)
            return
        self.store.put_run_log(RunLog(**{**document, "steps": {}, "parameters": {}}))
        self.store.set_parameters(run_log.run_id, run_log.parameters)
        for part in _parts(run_log):
            alone = type(part)(**part.model_dump(exclude={"steps", "branches"}))
            (self.store.add_step_log if isinstance(part, StepLog) else self.store.add_branch_log)(alone, run_log.run_id)

    @override
    def as_kept(self, document: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = RunLog(**document).model_dump()
        return kept

    @override
    def header(self, run_id: str) -> Run:
        """Nothing is retried under the same id, so no step is needed."""
        run_log = self.store.get_run_log_by_id(run_id, full=False)
        return self.mapped(run_log.model_dump(exclude={"steps", "parameters"}) | {"steps": {}})

    @override
    def retry_indicator(self, run_id: str) -> str | None:
        """A re-run of magnus has an id of its own."""
        return None

    @override
    def mark_retry(self, run: Run, execution: int) -> Run:
        """Never called, as nothing is retried."""
        raise NotImplementedError


def _service(kind: str, config_file: str) -> Any:
    """A service as `magnus.entrypoints.prepare_configurations` finds it: the config file, else the user's defaults."""
    has_file = config_file and config_file != defaults.USER_CONFIG_FILE
    config = utils.load_yaml(config_file) if has_file else None
    if service := (config or {}).get(kind):
        return service
    user_config = (
        utils.load_yaml(defaults.USER_CONFIG_FILE) if utils.does_file_exist(defaults.USER_CONFIG_FILE) else None
    )
    return ((user_config or {}).get("defaults") or {}).get(kind)


def _is_chunked(store: Any) -> bool:
    return hasattr(store, "orderly_retrieve")


def _whole_run_log(store: Any, run_id: str) -> RunLog:
    """The whole log; that of a chunked store is assembled here.

    The store's own `ChunkedRunLogStore._prepare_full_run_log` raises if no step was recorded yet, leaves out branches
    without steps, and does not find the step of a branch whose name has a value with a dot.
    """
    if not _is_chunked(store):
        return store.get_run_log_by_id(run_id, full=True)
    run_log = store.get_run_log_by_id(run_id)
    run_log.parameters = store.get_parameters(run_id)
    kinds = store.LogTypes
    steps: dict[str, StepLog] = {}
    if store.get_matches(run_id, kinds.STEP_LOG.value, multiple_allowed=True):
        steps = store.orderly_retrieve(run_id, kinds.STEP_LOG)
    branches: dict[str, BranchLog] = store.orderly_retrieve(run_id, kinds.BRANCH_LOG)
    for path, branch in branches.items():
        if owner := max((step for step in steps if path.startswith(f"{step}.")), key=len, default=None):
            steps[owner].branches[path] = branch
    for path, step in steps.items():
        holder = branches.get(path.rpartition(".")[0], run_log)
        holder.steps[path] = step
    return run_log


def _parts(graph: RunLog | BranchLog) -> Iterator[StepLog | BranchLog]:
    """The steps and branches of a graph at every depth, parents first."""
    for step in graph.steps.values():
        yield step
        for branch in step.branches.values():
            yield branch
            yield from _parts(branch)


class OtelRunLogStore(Wrapper, BaseRunLogStore):  # type: ignore[misc]  # the host has no type information
    """A store of magnus, and a trace of every run."""

    _host: ClassVar[type[adapter.HostAdapter]] = HostAdapter
    _entered: AttemptScope | None = PrivateAttr(default=None)

    @override
    def get_step_log(self, internal_name: str, run_id: str, **kwargs: Any) -> StepLog:
        """The host reads a step in progress right before it runs its code."""
        step_log = super().get_step_log(internal_name, run_id, **kwargs)
        if step_log.status == defaults.PROCESSING and step_log.step_type not in WITHOUT_CODE:
            self._leave()
            number = int(os.environ.get(defaults.ATTEMPT_NUMBER, "1"))  # `GenericExecutor.step_attempt_number`
            repeat = 1 + sum(attempt.attempt_number == number for attempt in step_log.attempts)
            self._entered = self._observer.attempt_entered(run_id, internal_name, number, HostAdapter.prefix, repeat)
        return step_log

    @override
    def add_step_log(self, step_log: StepLog, run_id: str, **kwargs: Any) -> Any:
        """The step's code has ended, whether it failed or not."""
        self._ran = self._leave()
        return super().add_step_log(step_log, run_id, **kwargs)

    @override
    def _add_note(self, logged: StepLog, index: int, note: AttemptNote, facts: Facts | None) -> None:
        codes = [code_from_note(note, index), *([code_from_facts(facts, index)] if facts else [])]
        logged.code_identities += [CodeIdentity(**code) for code in codes]

    def _leave(self) -> Facts | None:
        scope, self._entered = self._entered, None
        if scope is None:
            return None
        scope.leave()
        return self._observer.guard(scope.facts)

    def update_run_log_status(self, run_id: str, status: str) -> Any:
        """Set the run's status; a single function or notebook ends with this call."""
        answer = self._inner.update_run_log_status(run_id, status)
        self._may_be_complete(run_id, status)
        return answer


def _reported(execute_graph: Callable[..., Any]) -> Callable[..., Any]:
    """The executor's method, which runs the whole graph and the graphs of branches, with what it raises reported."""

    @functools.wraps(execute_graph)
    def reported(self: Any, dag: Any, *args: Any, **kwargs: Any) -> Any:
        current = context.run_context
        with Reporting(current) if dag is current.dag else contextlib.nullcontext():
            return execute_graph(self, dag, *args, **kwargs)

    return reported


add_forwarders(OtelRunLogStore)
GenericExecutor.execute_graph = _reported(GenericExecutor.execute_graph)


class DocumentRunLogStore(DocumentPlugin, BaseRunLogStore):  # type: ignore[misc]
    """A store of documents as a store of magnus."""

    _source = json_runlog.MAGNUS
    _printer = HostAdapter.printer
    _models = datastore
    _exceptions = exceptions


class SqlRunLogStore(SqlPlugin, DocumentRunLogStore):
    """`type: sql`, and `db`. See docs/stores.md."""

    _secret = staticmethod(HostAdapter.secret)


class MemoryRunLogStore(MemoryPlugin, DocumentRunLogStore):
    """`type: memory`. See docs/stores.md."""
