"""Every name of a span, attribute, event and metric, with its type and help text. No other module spells one.

Names are those of OpenTelemetry's semantic conventions where they exist (CI/CD, VCS, exception, error: release
candidate), else `runlog.*`. `docs/mapping.md` is generated from this module.
"""

from typing import NamedTuple

SCHEMA_URL = "https://opentelemetry.io/schemas/1.43.0"
SCOPE_NAME = "runlog_otel"
SCOPE_VERSION = "1"
"""The version of the mapping, not of the package: an upgrade with the same mapping exports the same bytes."""

HEADER_KEY = "runlog_otel"
"""The one key that the wrapper adds to a run's config."""

MAX_ATTRIBUTE_BYTES = 2047
"""An attribute, and a status description, is shorter than 2,048 bytes."""
MAX_KEY_BYTES = 255
"""The limit of an attribute's name that comes from a user."""
MAX_METRICS = 64
"""User metrics exported for one attempt."""
MAX_PARAMETERS = 64
"""Parameters of an attempt with exported values, or digests: inputs and outputs each."""
MAX_ITEMS = 64
"""Catalog items exported for one step."""

SECOND_NS = 1_000_000_000
DURATION_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
"""Upper bounds of the histograms of durations, in seconds."""


class AttributeSpec(NamedTuple):
    """An exported name: where it is used, its type, its meaning."""

    name: str
    on: str
    type: str
    help: str


class Metric(NamedTuple):
    """A metric: its labels are attributes; of `details` only the newest set is kept.

    Source of the translation: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
    """

    name: str
    kind: str
    """`counter`, `updowncounter`, `gauge` or `histogram`."""
    unit: str
    labels: tuple[str, ...]
    help: str
    details: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in its unit."""

    @property
    def scale(self) -> int:
        """What a point's value is divided by to get the metric's unit: durations are observed in whole nanoseconds."""
        return SECOND_NS if self.kind == "histogram" and self.unit == "s" else 1

    @property
    def prometheus_name(self) -> str:
        """The name of the family, without the `_total` of counters."""
        unit = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return self.name.replace(".", "_") + unit


def prefix_of(template: str) -> str:
    """The start of every name that is formatted from a template such as `METRIC`."""
    return template.partition("{")[0]


ATTRIBUTES: list[AttributeSpec] = []
SPANS: list[AttributeSpec] = []
EVENTS: list[AttributeSpec] = []
METRICS: dict[str, Metric] = {}


def _attribute(name: str, on: str, type_: str, help_: str) -> str:
    ATTRIBUTES.append(AttributeSpec(name, on, type_, help_))
    return name


def _event(name: str, on: str, help_: str) -> str:
    EVENTS.append(AttributeSpec(name, on, "event", help_))
    return name


def _metric(  # noqa: PLR0917 - a table's row
    name: str, kind: str, unit: str, labels: tuple[str, ...], help_: str, details: tuple[str, ...] = ()
) -> str:
    METRICS[name] = Metric(name, kind, unit, labels, help_, details)
    return name


def _duration(name: str, labels: tuple[str, ...], help_: str) -> str:
    METRICS[name] = Metric(name, "histogram", "s", labels, help_, bounds=DURATION_BUCKETS)
    return name


def _span(name: str, kind: str, help_: str) -> str:
    SPANS.append(AttributeSpec(name, "", kind, help_))
    return name


RUN_SPAN = _span("RUN {pipeline}", "SERVER", "One execution of a run. A retry is a trace of its own.")
START_SPAN = _span("START {pipeline}", "INTERNAL", "Start marker, without duration: makes a run visible at once.")
STEP_SPAN = _span("{step}", "INTERNAL", "A node of the graph; it encloses its attempts or branches.")
BRANCH_SPAN = _span("{step}/{branch}", "INTERNAL", "A branch of a parallel, conditional or dag node.")
ITERATION_SPAN = _span("{step}/iteration", "INTERNAL", "An iteration of a map or loop node; its value is an attribute.")
ATTEMPT_SPAN = _span("{step} attempt", "INTERNAL", "One attempt at a step, as recorded by its process.")

SERVICE_NAME = _attribute(
    "service.name", "resource", "string", "The setting `service`, else `OTEL_SERVICE_NAME`, else the pipeline's name."
)
PIPELINE_NAME = _attribute("cicd.pipeline.name", "every span", "string", "The pipeline: its setting, name or file.")
PIPELINE_RUN_ID = _attribute("cicd.pipeline.run.id", "every span", "string", "The host's run id.")
EXECUTION = _attribute("runlog.execution", "every span", "int", "1, plus one for each retry of the run.")

PIPELINE_ACTION = _attribute("cicd.pipeline.action.name", "run", "string", "Always `RUN`.")
PIPELINE_RESULT = _attribute(
    "cicd.pipeline.result", "run", "string", "`success`, `failure` or `error` (it never ended)."
)
PIPELINE_RUN_URL = _attribute("cicd.pipeline.run.url.full", "run", "string", "The trace's page, when `ui` is set.")
RUN_HOST = _attribute("runlog.host", "run", "string", "The tool that ran it: `runnable`, `magnus`, `constellation`.")
RUN_TAG = _attribute("runlog.run.tag", "run", "string", "The host's tag.")
RUN_DAG_HASH = _attribute("runlog.run.dag_hash", "run", "string", "The host's hash of the graph.")
RUN_ORIGINAL_ID = _attribute("runlog.run.original_id", "run", "string", "The run that this one re-runs.")
RUN_USE_CACHED = _attribute(
    "runlog.run.use_cached", "run", "boolean", "Whether it skips steps that succeeded in the original."
)
RUN_DEFINITION = _attribute("runlog.run.definition", "run", "string", "The module or file that defines the pipeline.")
RUN_EXECUTOR = _attribute("runlog.run.executor", "run", "string", "The host's executor: `local`, `argo` …")
RUN_PARAMETERS = _attribute("runlog.run.parameters", "run", "string[]", "Names of parameters that its attempts saw.")
RETRY_REASON = _attribute(
    "runlog.retry.reason",
    "run",
    "string",
    "On a retry: how the previous execution ended, `failure` or `error` (it never ended).",
)
RETRY_FAILED_STEPS = _attribute(
    "runlog.retry.failed_steps",
    "run",
    "string[]",
    "On a retry: paths of the steps that failed in the previous execution.",
)
RUN_SOURCE = _attribute("runlog.run.source", "run", "string", "What started it: `Dashboard`, `VSCodeExtension`, `API`.")
RUN_SAMPLE_RATE = _attribute(
    "runlog.run.sample_rate", "run", "double", "Share of such runs that the host keeps, 0 to 1."
)

TASK_NAME = _attribute("cicd.pipeline.task.name", "step, attempt", "string", "The step's name, without iterations.")
TASK_RUN_ID = _attribute("cicd.pipeline.task.run.id", "step", "string", "The host's internal name (dot path).")
TASK_RESULT = _attribute(
    "cicd.pipeline.task.run.result", "step", "string", "`success`, `failure`, `error` (never ended) or `skip`."
)
TASK_RUN_URL = _attribute("cicd.pipeline.task.run.url.full", "step", "string", "The span's page, when `ui` is set.")
STEP_TYPE = _attribute("runlog.step.type", "step", "string", "The host's node type: `task`, `map`, `parallel` …")
START_IS_DERIVED = _attribute(
    "runlog.start.is_derived",
    "step, attempt",
    "boolean",
    "`true` if the log has a duration but no start: the start is then the earliest that the graph allows.",
)
CLOCK_IS_ADJUSTED = _attribute(
    "runlog.clock.is_adjusted", "run, branch, attempt", "boolean", "`true` if clocks disagree: see operation.md."
)
STEP_PATH = _attribute("runlog.step.path", "attempt", "string", "The host's internal name of the step (dot path).")

BRANCH_NAME = _attribute("runlog.branch.name", "branch", "string", "The branch's name; the value of an iteration.")
BRANCH_PATH = _attribute("runlog.branch.path", "branch", "string", "The host's internal name of the branch (dot path).")
BRANCH_RESULT = _attribute("runlog.branch.result", "branch", "string", "`success`, `failure` or `error` (never ended).")

ATTEMPT_NUMBER = _attribute("runlog.attempt.number", "attempt", "int", "The host's number of the attempt, from 1.")
ATTEMPT_REPEAT = _attribute("runlog.attempt.repeat", "attempt", "int", "From 2, if several attempts share a number.")
ATTEMPT_RESULT = _attribute("runlog.attempt.result", "attempt", "string", "`success` or `failure`.")
ATTEMPT_RETRY_INDICATOR = _attribute("runlog.attempt.retry_indicator", "attempt", "string", "The host's, if it is set.")
INPUT_PARAMETERS = _attribute("runlog.parameters.input", "run, attempt", "string[]", "Names of the input parameters.")
OUTPUT_PARAMETERS = _attribute(
    "runlog.parameters.output", "run, attempt", "string[]", "Names of the returned parameters."
)
INPUT_VALUE = _attribute(
    "runlog.parameter.input.{name}",
    "run, attempt",
    "any scalar",
    "Value of an input parameter whose name the setting `parameters` lists; as JSON if it is not a scalar.",
)
OUTPUT_VALUE = _attribute(
    "runlog.parameter.output.{name}", "run, attempt", "any scalar", "The same for a returned parameter."
)
INPUT_DIGEST = _attribute(
    "runlog.parameter_digest.input.{name}",
    "run, attempt",
    "string",
    "With the setting `parameter_digests`: digest of an input parameter; equal values give equal digests.",
)
OUTPUT_DIGEST = _attribute(
    "runlog.parameter_digest.output.{name}", "run, attempt", "string", "The same for a returned parameter."
)
METRIC = _attribute(
    "runlog.metric.{name}",
    "attempt",
    "any scalar",
    "A user-defined metric; dots join the parts of a nested one.",
)

VCS_REVISION = _attribute("vcs.ref.head.revision", "attempt", "string", "The git commit of the code that ran.")
VCS_REPOSITORY = _attribute("vcs.repository.url.full", "attempt", "string", "The git remote, without credentials.")
CODE_IS_CLEAN = _attribute("runlog.code.is_clean", "attempt", "boolean", "Whether the work tree had no changes.")
IMAGE_ID = _attribute("container.image.id", "attempt", "string", "The container image's digest.")
IMAGE_NAME = _attribute("container.image.name", "attempt", "string", "The container image, if its digest is unknown.")
CODE_IDENTITY = _attribute("runlog.code.{type}", "attempt", "string", "Any other code identity: `runlog.code.argo` …")

ERROR_TYPE = _attribute(
    "error.type",
    "run, step, branch, attempt",
    "string",
    "If it did not succeed: the exception's type, `exit_3` or `signal_9` of a shell step, else `_OTHER`; "
    "`step_failed`, `branch_failed`; `abandoned` if it never ended.",
)
PROCESS_EXIT_CODE = _attribute("process.exit.code", "attempt", "int", "The exit status of a failed shell step.")
EXCEPTION_TYPE = _attribute("exception.type", "event exception", "string", "As `error.type`.")
EXCEPTION_MESSAGE = _attribute(
    "exception.message",
    "event exception",
    "string",
    "The exception's message, masked; for a shell step its exit status and the end of its stderr; else the attempt's "
    "message.",
)
EXCEPTION_STACKTRACE = _attribute(
    "exception.stacktrace", "event exception", "string", "The end of the exception's traceback, masked."
)

CATALOG_NAME = _attribute("runlog.catalog.name", "event runlog.catalog.item", "string", "The file's name.")
CATALOG_STAGE = _attribute("runlog.catalog.stage", "event runlog.catalog.item", "string", "`get` or `put`.")
CATALOG_HASH = _attribute("runlog.catalog.hash", "event runlog.catalog.item", "string", "The file's hash.")
CATALOG_LOCATION = _attribute("runlog.catalog.location", "event runlog.catalog.item", "string", "Its catalog location.")

CHANGES_SINCE = _attribute(
    "runlog.changes.since", "event runlog.changes", "string", "Id of the pipeline's last run that succeeded."
)
CHANGES_REVISION_BEFORE = _attribute(
    "runlog.changes.revision_before", "event runlog.changes", "string", "Its git commit, if it differs."
)
CHANGES_REVISION = _attribute(
    "runlog.changes.revision",
    "event runlog.changes",
    "string",
    "The git commit of this run; `+`: the work tree had changes.",
)
CHANGES_PARAMETERS = _attribute(
    "runlog.changes.parameters", "event runlog.changes", "string[]", "Names of parameters whose values differ."
)
CHANGES_FILES = _attribute(
    "runlog.changes.files", "event runlog.changes", "string[]", "Names of catalog items whose hashes differ."
)

LINK_TYPE = _attribute(
    "runlog.link",
    "link of a run",
    "string",
    "`caller` (TRACEPARENT), `previous_execution` (a retry) or `original_run` (a re-run).",
)

EXCEPTION_EVENT = _event("exception", "attempt", "On a failed attempt, at its end.")
CATALOG_EVENT = _event(
    "runlog.catalog.item", "step", "A catalog item of a step that succeeded, at its start (get) or end (put)."
)
CHANGES_EVENT = _event(
    "runlog.changes", "run", "At the end of a failed run, if the store (`sql`) has a successful run of the pipeline."
)

PIPELINE_RUN_STATE = _attribute(
    "cicd.pipeline.run.state", "metric", "string", "Always `executing`: the hosts have no other lasting state."
)
METRIC_NAME = _attribute(
    "runlog.metric.name", "metric", "string", "The name of a user-defined metric; dots join the parts of a nested one."
)
FAILURE_TRACE_ID = _attribute("trace_id", "metric, exemplar", "string", "The trace of the latest failure.")
OVERFLOW = _attribute(
    "otel.metric.overflow", "metric", "boolean", "`true` on the series for label sets above `metrics.max_series`."
)
_OF_RUN = (PIPELINE_NAME, RUN_TAG)
_OF_STEP = (PIPELINE_NAME, TASK_NAME, RUN_TAG)

RUN_DURATION = _duration(
    "cicd.pipeline.run.duration",
    (*_OF_RUN, PIPELINE_RUN_STATE, PIPELINE_RESULT, ERROR_TYPE),
    "Duration of executions of runs, by result.",
)
RUNS_ACTIVE = _metric(
    "cicd.pipeline.run.active", "updowncounter", "{run}", (*_OF_RUN, PIPELINE_RUN_STATE), "Runs that have not ended."
)
RUN_ERRORS = _metric(
    "cicd.pipeline.run.errors",
    "counter",
    "{error}",
    (*_OF_RUN, ERROR_TYPE),
    "Failed attempts, also those of runs that succeeded.",
)
LAST_SUCCESS = _metric(
    "runlog.pipeline.last_success.timestamp",
    "gauge",
    "s",
    _OF_RUN,
    "When the latest successful run ended, as Unix time.",
)
OLDEST_ACTIVE = _metric(
    "runlog.pipeline.oldest_active.age", "gauge", "s", _OF_RUN, "Age of the oldest run that has not ended."
)
STEP_DURATION = _duration(
    "runlog.step.duration",
    (*_OF_STEP, STEP_TYPE, TASK_RESULT),
    "Duration of steps, including all attempts and the pauses between them.",
)
STEP_RESULTS = _metric(
    "runlog.step.results", "counter", "{step}", (*_OF_STEP, STEP_TYPE, TASK_RESULT), "Steps that ended, by result."
)
STEP_QUEUE_TIME = _duration(
    "runlog.step.queue_time",
    _OF_STEP,
    "From the end of the previous step (or the start of the run or branch) to a step's start.",
)
STEP_RETRIES = _metric(
    "runlog.step.retries", "counter", "{attempt}", _OF_STEP, "Attempts after the first of a step within one execution."
)
STEP_PASSED_ON_ATTEMPT = _metric(
    "runlog.step.passed_on_attempt",
    "counter",
    "{step}",
    (*_OF_STEP, ATTEMPT_NUMBER),
    "Steps that succeeded, by which attempt of the execution succeeded (`1` … `4`, `5+`): above 1 the step is flaky.",
)
STEP_LAST_FAILURE = _metric(
    "runlog.step.last_failure.timestamp",
    "gauge",
    "s",
    _OF_STEP,
    "When the latest failure of a step ended, as Unix time; its details, for alerts. One series per step: the latest.",
    (ERROR_TYPE, FAILURE_TRACE_ID, EXCEPTION_MESSAGE),
)
ATTEMPT_DURATION = _duration(
    "runlog.attempt.duration", (*_OF_STEP, ATTEMPT_RESULT, ERROR_TYPE), "Duration of attempts."
)
BRANCH_DURATION = _duration(
    "runlog.branch.duration",
    (*_OF_STEP, BRANCH_NAME, BRANCH_RESULT),
    "Duration of branches; iterations of a map or loop have no name here.",
)
CATALOG_ITEMS = _metric(
    "runlog.catalog.items", "counter", "{item}", (*_OF_STEP, CATALOG_STAGE), "Catalog items of steps that succeeded."
)
USER_METRIC = _metric(
    "runlog.user.metric",
    "gauge",
    "",  # whatever the user counts; the unit `1` is translated to `_ratio`
    (*_OF_STEP, METRIC_NAME),
    "A user-defined metric, from the latest attempt.",
)

EXPORTER_RUNS_READ = _metric("runlog.exporter.runs.read", "counter", "{run}", (), "Run logs that `serve` read.")
EXPORTER_FAILURES = _metric(
    "runlog.exporter.poll.failures",
    "counter",
    "{poll}",
    (),
    "Polls of a store that failed, and runs that could not be read.",
)
EXPORTER_LAST_POLL = _metric(
    "runlog.exporter.last_poll.timestamp",
    "gauge",
    "s",
    (),
    "When every store was last read without a failure, as Unix time.",
)
EXPORTER_POLL_DURATION = _metric("runlog.exporter.poll.duration", "gauge", "s", (), "How long the latest poll took.")
SPANS_ACKNOWLEDGED = _metric(
    "runlog.exporter.spans.acknowledged", "counter", "{span}", (), "Spans that `serve` sent and a backend acknowledged."
)
RUNS_UNSENT = _metric("runlog.exporter.runs.unsent", "gauge", "{run}", (), "Runs that were not fully acknowledged.")
OVERFLOWED = _metric(
    "runlog.exporter.points.overflowed",
    "counter",
    "{point}",
    (),
    "Points with label sets above `metrics.max_series`.",
)
STORE_SIZE = _metric("runlog.store.size", "gauge", "By", (), "Size of the SQL run log store.")

MAX_ATTEMPT_LABEL = 5
"""Attempts from this number on share a label."""

OTHER_ERROR = "_OTHER"
STEP_FAILED = "step_failed"
BRANCH_FAILED = "branch_failed"
ABANDONED = "abandoned"
