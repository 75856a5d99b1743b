"""The mapping as the settings ask for it: the one place where settings become its options."""

from runlog_otel.core.model import Run
from runlog_otel.core.redaction import RedactionPolicy
from runlog_otel.core.spans import spans_from_run
from runlog_otel.core.trace import Execution, Trace
from runlog_otel.settings import Settings


def traces_from_run(
    run: Run, settings: Settings, *, policy: RedactionPolicy | None = None, is_abandoned: bool = False
) -> list[Trace]:
    """See `spans_from_run`; `policy` replaces that of the settings."""
    return spans_from_run(run, settings.namespace, settings.ui, policy or settings.policy, is_abandoned=is_abandoned)


def execution_of_run(run: Run, settings: Settings, number: int) -> Execution:
    """An execution whose spans are made one by one, before the log is complete."""
    return Execution(
        run.run_id, run.pipeline, number, settings.namespace, settings.ui, settings.policy, run.header.marks
    )
