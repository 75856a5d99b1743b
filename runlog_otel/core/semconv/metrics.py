"""The metrics."""

from runlog_otel.core.semconv.attributes import (
    ANNOTATION_NAME,
    ATTEMPT_NUMBER,
    ATTEMPT_RESULT,
    BRANCH_NAME,
    BRANCH_RESULT,
    CATALOG_STAGE,
    ERROR_TYPE,
    EXCEPTION_MESSAGE,
    FAILURE_TRACE_ID,
    FAILURE_TRACE_URL,
    METRIC_NAME,
    PIPELINE_NAME,
    PIPELINE_RESULT,
    PIPELINE_RUN_STATE,
    RUN_TAG,
    STEP_TYPE,
    TASK_NAME,
    TASK_RESULT,
)
from runlog_otel.core.semconv.facts import CPU_LIMIT, CPU_TIME, IO_READ, IO_WRITE, MEMORY_LIMIT, MEMORY_PEAK
from runlog_otel.core.semconv.specs import duration, metric, size

_OF_RUN = (PIPELINE_NAME, RUN_TAG)
_OF_STEP = (PIPELINE_NAME, TASK_NAME, RUN_TAG)

RUN_DURATION = duration(
    "cicd.pipeline.run.duration",
    (*_OF_RUN, PIPELINE_RUN_STATE, PIPELINE_RESULT, ERROR_TYPE),
    "Duration of executions of runs, by result.",
)
RUNS_ACTIVE = metric(
    "cicd.pipeline.run.active", "updowncounter", "{run}", (*_OF_RUN, PIPELINE_RUN_STATE), "Runs that have not ended."
)
RUN_ERRORS = metric(
    "cicd.pipeline.run.errors",
    "counter",
    "{error}",
    (*_OF_RUN, ERROR_TYPE),
    "Failed attempts, also those of runs that succeeded; cancelled ones are no errors.",
)
LAST_SUCCESS = metric(
    "runlog.pipeline.last_success.timestamp",
    "gauge",
    "s",
    _OF_RUN,
    "When the latest successful run ended, as Unix time.",
)
OLDEST_ACTIVE = metric(
    "runlog.pipeline.oldest_active.age", "gauge", "s", _OF_RUN, "Age of the oldest run that has not ended."
)
STEP_DURATION = duration(
    "runlog.step.duration",
    (*_OF_STEP, STEP_TYPE, TASK_RESULT, ERROR_TYPE),
    "Duration of steps, including all attempts and the pauses between them.",
)
STEP_RESULTS = metric(
    "runlog.step.results", "counter", "{step}", (*_OF_STEP, STEP_TYPE, TASK_RESULT), "Steps that ended, by result."
)
STEP_QUEUE_TIME = duration(
    "runlog.step.queue_time",
    _OF_STEP,
    "From the end of the previous step (or the start of the run or branch) to a step's start.",
)
STEP_RETRIES = metric(
    "runlog.step.retries", "counter", "{attempt}", _OF_STEP, "Attempts after the first of a step within one execution."
)
STEP_PASSED_ON_ATTEMPT = metric(
    "runlog.step.passed_on_attempt",
    "counter",
    "{step}",
    (*_OF_STEP, ATTEMPT_NUMBER),
    "Steps that succeeded, by which attempt of the execution succeeded (`1` … `4`, `5+`): above 1 the step is flaky.",
)
STEP_LAST_FAILURE = metric(
    "runlog.step.last_failure.timestamp",
    "gauge",
    "s",
    _OF_STEP,
    "When the latest failure of a step ended, as Unix time; its details, for alerts. One series per step: the latest.",
    (ERROR_TYPE, FAILURE_TRACE_ID, FAILURE_TRACE_URL, EXCEPTION_MESSAGE),
)
ATTEMPT_DURATION = duration("runlog.attempt.duration", (*_OF_STEP, ATTEMPT_RESULT, ERROR_TYPE), "Duration of attempts.")
BRANCH_DURATION = duration(
    "runlog.branch.duration",
    (*_OF_STEP, BRANCH_NAME, BRANCH_RESULT, ERROR_TYPE),
    "Duration of branches; iterations of a map or loop have no name here.",
)
CATALOG_ITEMS = metric(
    "runlog.catalog.items", "counter", "{item}", (*_OF_STEP, CATALOG_STAGE), "Catalog items of steps that succeeded."
)
USER_METRIC = metric(
    "runlog.user.metric",
    "gauge",
    "",  # whatever the user counts; the unit `1` is translated to `_ratio`
    (*_OF_STEP, METRIC_NAME),
    "A user-defined metric, from the latest attempt.",
)
ANNOTATION = metric(
    "runlog.annotation",
    "gauge",
    "",  # as above
    (*_OF_STEP, ANNOTATION_NAME),
    "A number that the code of a step annotated and `metrics.annotations` lists, from the latest attempt.",
)
RESOURCES = {
    CPU_TIME: duration(CPU_TIME, _OF_STEP, "CPU time of attempts, user and system, child processes included."),
    MEMORY_PEAK: size(MEMORY_PEAK, _OF_STEP, "Highest resident memory of attempts, child processes included."),
    IO_READ: size(IO_READ, _OF_STEP, "Bytes that attempts read from storage, child processes included."),
    IO_WRITE: size(IO_WRITE, _OF_STEP, "Bytes that attempts wrote to storage, child processes included."),
    CPU_LIMIT: metric(CPU_LIMIT, "gauge", "{cpu}", _OF_STEP, "CPUs that the latest attempt could use, if limited."),
    MEMORY_LIMIT: metric(MEMORY_LIMIT, "gauge", "By", _OF_STEP, "Memory limit of the latest attempt, if there is one."),
}
"""Metric by the attribute of an attempt that it is made of."""

EXPORTER_RUNS_READ = metric("runlog.exporter.runs.read", "counter", "{run}", (), "Run logs that `serve` read.")
EXPORTER_FAILURES = metric(
    "runlog.exporter.poll.failures",
    "counter",
    "{poll}",
    (),
    "Polls of a store that failed, and runs that could not be read.",
)
EXPORTER_LAST_POLL = metric(
    "runlog.exporter.last_poll.timestamp",
    "gauge",
    "s",
    (),
    "When every store was last read without a failure, as Unix time.",
)
EXPORTER_POLL_DURATION = metric("runlog.exporter.poll.duration", "gauge", "s", (), "How long the latest poll took.")
SPANS_EXPORTED = metric(
    "otel.sdk.exporter.span.exported",
    "counter",
    "{span}",
    (ERROR_TYPE,),
    "Spans that `serve` sent: acknowledged, or with an error type `rejected` or that of the failure.",
)
RUNS_UNSENT = metric("runlog.exporter.runs.unsent", "gauge", "{run}", (), "Runs that were not fully acknowledged.")
OVERFLOWED = metric(
    "runlog.exporter.points.overflowed",
    "counter",
    "{point}",
    (),
    "Points with label sets above `metrics.max_series`.",
)
STORE_SIZE = metric("runlog.store.size", "gauge", "By", (), "Size of the SQL run log store.")
