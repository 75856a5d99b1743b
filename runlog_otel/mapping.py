"""The mapping as the settings ask for it: its options, what is sampled, and the resource of spans."""

from runlog_otel.core import semconv
from runlog_otel.core.memo import SpanMemo
from runlog_otel.core.model import Run
from runlog_otel.core.redaction import MASK, Redaction, RedactionPolicy, is_secret_name
from runlog_otel.core.sampling import is_notable, is_sampled
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Execution, Trace, execution_of
from runlog_otel.settings import Settings


def traces_from_run(
    run: Run,
    settings: Settings,
    *,
    policy: RedactionPolicy | None = None,
    is_abandoned: bool = False,
    memo: SpanMemo | None = None,
) -> list[Trace]:
    """See `spans_from_run`; `policy` replaces that of the settings."""
    return spans_from_run(
        run,
        settings.namespace,
        settings.ui,
        policy or settings.policy,
        is_abandoned=is_abandoned,
        iteration_names=settings.iteration_names,
        memo=memo,
    )


def execution_of_run(run: Run, settings: Settings, number: int) -> Execution:
    """An execution whose spans are made one by one, before the log is complete."""
    return execution_of(run, number, settings.namespace, settings.ui, settings.policy)


def sends(trace: Trace, settings: Settings) -> bool:
    """Whether an execution is sent, by its run id or, once it is complete, by how it ended."""
    return sends_live(trace.execution, settings) or is_notable(trace, settings.sample_slower_than_seconds)


def sends_live(execution: Execution, settings: Settings) -> bool:
    """Whether a run is sent while it runs; otherwise only its notable executions are sent, once complete.

    Of a run that joined its caller's trace, the caller decided.
    """
    if execution.caller:
        return execution.caller.is_sampled
    run_id = execution.run_id
    return settings.sample == 1 or is_sampled(run_id, settings.sample, settings.namespace)


def resource_attributes(pipeline: str, settings: Settings) -> dict[str, str]:
    """The resource of a pipeline's spans: equal in every process that has the same settings."""
    service = settings.service or settings.resource.get(semconv.SERVICE_NAME) or pipeline
    redaction = Redaction(settings.policy.patterns)
    named = {semconv.SERVICE_NAME: service} | {
        key: value for key, value in settings.resource.items() if key != semconv.SERVICE_NAME
    }
    return {redaction(key): MASK if is_secret_name(key) else redaction(value) for key, value in named.items()}
