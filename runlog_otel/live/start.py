"""What is noted in the header of a run when it starts, as only the process that starts it knows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlog_otel.live.attempt_context import entered_here
from runlog_otel.live.environment import ENVIRONMENT
from runlog_otel.live.propagation import Propagation
from runlog_otel.live.trigger import trigger_facts
from runlog_otel.live.work_tree import vcs_facts
from runlog_otel.settings import Settings

if TYPE_CHECKING:
    from runlog_otel.live.observer import Observer


def start_entry(observer: "Observer", pipeline: str, prefix: str) -> dict[str, Any]:
    """The pipeline's name, the caller, and the facts of a run that starts; without those that cannot be found out.

    Args:
        observer: has the settings, and masks what is written into the log.
        pipeline: the name that the user gave the pipeline.
        prefix: of the variables that the host passes on to programs.
    """
    settings = observer.settings
    name = observer.masked(settings.pipeline or pipeline)
    caller = observer.guard(lambda: _caller(observer, prefix)) or {}
    facts = observer.guard(lambda: _facts(settings, prefix)) or {}
    parts = {"pipeline": name, **caller, "facts": {key: observer.masked(value) for key, value in facts.items()}}
    return {key: value for key, value in parts.items() if value}


def _caller(observer: "Observer", prefix: str) -> dict[str, str]:
    """The caller's trace context. Its state matters to a run that joins its trace.

    A state with a secret is dropped: others read it, so it cannot be masked in part.
    """
    settings = observer.settings
    caller = Propagation(settings.propagators, prefix).caller()
    if caller is None:
        return {}
    entry = {"traceparent": f"00-{caller.trace_id:032x}-{caller.span_id:016x}-{caller.trace_flags:02x}"}
    if settings.parent == "child":
        state = caller.trace_state.to_header()
        entry |= {"parent": "child", "tracestate": state if observer.masked(state) == state else ""}
    return entry


def _facts(settings: Settings, prefix: str) -> dict[str, str]:
    environ = ENVIRONMENT.inherited()
    is_within_run = entered_here() is not None or (prefix != "" and f"{prefix}TRACEPARENT" in environ)
    started = trigger_facts(environ, is_within_run=is_within_run, has_user=settings.trigger_user)
    return started | vcs_facts(Path.cwd(), environ)
