"""The names of spans, their attributes and their events."""

from runlog_otel.core.semconv.specs import attribute, event, span

RUN_SPAN = span("RUN {pipeline}", "SERVER", "One execution of a run. A retry is a trace of its own.")
START_SPAN = span("START {pipeline}", "INTERNAL", "Start marker, without duration: makes a run visible at once.")
STEP_SPAN = span("{step}", "INTERNAL", "A node of the graph; it encloses its attempts or branches.")
BRANCH_SPAN = span("{step}/{branch}", "INTERNAL", "A branch of a parallel, conditional or dag node.")
ITERATION_SPAN = span(
    "{step}/iteration",
    "INTERNAL",
    "An iteration of a map or loop node, whose value is an attribute; `{step}/{value}` with `iteration_names`.",
)
ATTEMPT_SPAN = span("{step} attempt", "INTERNAL", "One attempt at a step, as recorded by its process.")

SERVICE_NAME = attribute(
    "service.name", "resource", "string", "The setting `service`, else `OTEL_SERVICE_NAME`, else the pipeline's name."
)
PIPELINE_NAME = attribute(
    "cicd.pipeline.name",
    "resource, every span",
    "string",
    "The pipeline: its setting, the name it was given, or its file.",
)
PIPELINE_RUN_ID = attribute("cicd.pipeline.run.id", "resource, every span", "string", "The host's run id.")
EXECUTION = attribute("runlog.execution", "every span", "int", "1, plus one for each retry of the run.")

PIPELINE_ACTION = attribute("cicd.pipeline.action.name", "run", "string", "Always `RUN`.")
PIPELINE_RESULT = attribute(
    "cicd.pipeline.result",
    "run",
    "string",
    "`success`, `failure`, `error` (it never ended), `timeout` or `cancellation`.",
)
PIPELINE_RUN_URL = attribute("cicd.pipeline.run.url.full", "run", "string", "The trace's page, when `ui` is set.")
RUN_HOST = attribute("runlog.host", "run", "string", "The tool that ran it: `runnable`, `magnus`, `constellation`.")
RUN_TAG = attribute("runlog.run.tag", "run", "string", "The host's tag.")
RUN_DAG_HASH = attribute("runlog.run.dag_hash", "run", "string", "The host's hash of the graph.")
RUN_ORIGINAL_ID = attribute("runlog.run.original_id", "run", "string", "The run that this one re-runs.")
RUN_USE_CACHED = attribute(
    "runlog.run.use_cached", "run", "boolean", "Whether it skips steps that succeeded in the original."
)
RUN_DEFINITION = attribute("runlog.run.definition", "run", "string", "The module or file that defines the pipeline.")
RUN_EXECUTOR = attribute("runlog.run.executor", "run", "string", "The host's executor: `local`, `argo` …")
RUN_PARAMETERS = attribute("runlog.run.parameters", "run", "string[]", "Names of parameters that its attempts saw.")
RETRY_REASON = attribute(
    "runlog.retry.reason",
    "run",
    "string",
    "On a retry: how the previous execution ended, `failure` or `error` (it never ended).",
)
RETRY_FAILED_STEPS = attribute(
    "runlog.retry.failed_steps",
    "run",
    "string[]",
    "On a retry: paths of the steps that failed in the previous execution.",
)
RUN_SOURCE = attribute("runlog.run.source", "run", "string", "What started it: `Dashboard`, `VSCodeExtension`, `API`.")
RUN_SAMPLE_RATE = attribute(
    "runlog.run.sample_rate", "run", "double", "Share of such runs that the host keeps, 0 to 1."
)

TASK_NAME = attribute("cicd.pipeline.task.name", "step", "string", "The step's name, without iterations.")
TASK_RUN_ID = attribute("cicd.pipeline.task.run.id", "step", "string", "The host's internal name (dot path).")
TASK_RESULT = attribute(
    "cicd.pipeline.task.run.result",
    "step",
    "string",
    "`success`, `failure`, `error` (never ended), `timeout`, `cancellation` or `skip`.",
)
TASK_RUN_URL = attribute("cicd.pipeline.task.run.url.full", "step", "string", "The span's page, when `ui` is set.")
STEP_TYPE = attribute("runlog.step.type", "step", "string", "The host's node type: `task`, `map`, `parallel` …")
STEP_IS_CRITICAL = attribute(
    "runlog.step.is_critical",
    "step",
    "boolean",
    "`true` on the steps of the critical path, which set the length of the execution; only on steps without branches.",
)
START_IS_DERIVED = attribute(
    "runlog.start.is_derived",
    "step, attempt",
    "boolean",
    "`true` if the log has a duration but no start: the start is then the earliest that the graph allows.",
)
CLOCK_IS_ADJUSTED = attribute(
    "runlog.clock.is_adjusted", "run, branch, attempt", "boolean", "`true` if clocks disagree: see operation.md."
)
STEP_NAME = attribute("runlog.step.name", "attempt", "string", "The step's name, without iterations.")
STEP_PATH = attribute(
    "runlog.step.path", "attempt, log record", "string", "The host's internal name of the step (dot path)."
)

BRANCH_NAME = attribute("runlog.branch.name", "branch", "string", "The branch's name; the value of an iteration.")
BRANCH_PATH = attribute("runlog.branch.path", "branch", "string", "The host's internal name of the branch (dot path).")
BRANCH_RESULT = attribute("runlog.branch.result", "branch", "string", "As that of a run.")

ATTEMPT_NUMBER = attribute("runlog.attempt.number", "attempt", "int", "The host's number of the attempt, from 1.")
ATTEMPT_REPEAT = attribute("runlog.attempt.repeat", "attempt", "int", "From 2, if several attempts share a number.")
ATTEMPT_RESULT = attribute(
    "runlog.attempt.result", "attempt", "string", "`success`, `failure`, `timeout` or `cancellation`."
)
ATTEMPT_RETRY_INDICATOR = attribute("runlog.attempt.retry_indicator", "attempt", "string", "The host's, if it is set.")
INPUT_PARAMETERS = attribute("runlog.parameters.input", "run, attempt", "string[]", "Names of the input parameters.")
OUTPUT_PARAMETERS = attribute(
    "runlog.parameters.output", "run, attempt", "string[]", "Names of the returned parameters."
)
INPUT_VALUE = attribute(
    "runlog.parameter.input.{name}",
    "run, attempt",
    "any scalar",
    "Value of an input parameter whose name the setting `parameters` lists; as JSON if it is not a scalar.",
)
OUTPUT_VALUE = attribute(
    "runlog.parameter.output.{name}", "run, attempt", "any scalar", "The same for a returned parameter."
)
INPUT_DIGEST = attribute(
    "runlog.parameter_digest.input.{name}",
    "run, attempt",
    "string",
    "With the setting `parameter_digests`: digest of an input parameter; equal values give equal digests.",
)
OUTPUT_DIGEST = attribute(
    "runlog.parameter_digest.output.{name}", "run, attempt", "string", "The same for a returned parameter."
)
METRIC = attribute(
    "runlog.metric.{name}",
    "attempt",
    "any scalar",
    "A user-defined metric; dots join the parts of a nested one.",
)

VCS_REVISION = attribute(
    "vcs.ref.head.revision", "run, attempt", "string", "The git commit of the code; of a run if its attempts agree."
)
VCS_REPOSITORY = attribute(
    "vcs.repository.url.full", "run, attempt", "string", "The pages of the git remote, without credentials and `.git`."
)
CODE_IS_CLEAN = attribute(
    "runlog.vcs.is_clean", "run, attempt", "boolean", "Whether the work tree had no changes; of a run: in any attempt."
)
IMAGE_ID = attribute("container.image.id", "attempt", "string", "The container image's id, if the host records it.")
IMAGE_NAME = attribute("container.image.name", "attempt", "string", "The container image, if its id is unknown.")
IMAGE_TAGS = attribute("container.image.tags", "attempt", "string[]", "Its tag.")
IMAGE_DIGEST = attribute("oci.manifest.digest", "attempt", "string", "Its digest.")
CODE_IDENTITY = attribute("runlog.code.{type}", "attempt", "string", "Any other code identity: `runlog.code.argo` …")

ERROR_TYPE = attribute(
    "error.type",
    "run, step, branch, attempt",
    "string",
    "If it did not succeed: the exception's type, `exit_3` or `signal_9` of a shell step, else `_OTHER`; "
    "`step_failed`, `branch_failed`; `oom_killed`, `timeout`, `cancellation`; `abandoned` if it never ended.",
)
PROCESS_EXIT_CODE = attribute("process.exit.code", "attempt", "int", "The exit status of a failed shell step.")
EXCEPTION_TYPE = attribute("exception.type", "event exception", "string", "The exception's type, if it was one.")
EXCEPTION_MESSAGE = attribute(
    "exception.message",
    "event exception",
    "string",
    "The exception's message, masked; for a shell step its exit status and the end of its stderr; else the attempt's "
    "message.",
)
EXCEPTION_STACKTRACE = attribute(
    "exception.stacktrace", "event exception", "string", "The end of the exception's traceback, masked."
)

CATALOG_NAME = attribute("runlog.catalog.name", "event runlog.catalog.item", "string", "The file's name.")
CATALOG_STAGE = attribute("runlog.catalog.stage", "event runlog.catalog.item", "string", "`get` or `put`.")
CATALOG_HASH = attribute("runlog.catalog.hash", "event runlog.catalog.item", "string", "The file's hash.")
CATALOG_LOCATION = attribute("runlog.catalog.location", "event runlog.catalog.item", "string", "Its catalog location.")

CHANGES_SINCE = attribute(
    "runlog.changes.since", "event runlog.changes", "string", "Id of the pipeline's last run that succeeded."
)
CHANGES_REVISION_BEFORE = attribute(
    "runlog.changes.revision_before", "event runlog.changes", "string", "Its git commit, if it differs."
)
CHANGES_REVISION = attribute(
    "runlog.changes.revision",
    "event runlog.changes",
    "string",
    "The git commit of this run; `+`: the work tree had changes.",
)
CHANGES_PARAMETERS = attribute(
    "runlog.changes.parameters", "event runlog.changes", "string[]", "Names of parameters whose values differ."
)
CHANGES_FILES = attribute(
    "runlog.changes.files", "event runlog.changes", "string[]", "Names of catalog items whose hashes differ."
)

LINK_TYPE = attribute(
    "runlog.link",
    "link of a run",
    "string",
    "`caller` (TRACEPARENT), `previous_execution` (a retry) or `original_run` (a re-run).",
)

EXCEPTION_EVENT = event(
    "exception", "run, attempt", "On a failed attempt, at its end; on a run that reached no end, if its cause is known."
)
CATALOG_EVENT = event(
    "runlog.catalog.item", "step", "A catalog item of a step that succeeded, at its start (get) or end (put)."
)
CHANGES_EVENT = event(
    "runlog.changes", "run", "At the end of a failed run, if the store (`sql`) has a successful run of the pipeline."
)

LOG_IOSTREAM = attribute(
    "log.iostream", "log record", "string", "`stderr`, where the line is known to have been written there."
)
LOG_UID = attribute(
    "log.record.uid",
    "log record",
    "string",
    "The attempt's span id and the number of the line: equal when the line is sent again.",
)

PIPELINE_RUN_STATE = attribute(
    "cicd.pipeline.run.state", "metric", "string", "Always `executing`: the hosts have no other lasting state."
)
METRIC_NAME = attribute(
    "runlog.user.metric.name",
    "metric",
    "string",
    "The name of a user-defined metric; dots join the parts of a nested one.",
)
ANNOTATION_NAME = attribute(
    "runlog.annotation.name",
    "metric",
    "string",
    "The name of a number that steps annotate, as in `metrics.annotations`.",
)
FAILURE_TRACE_ID = attribute("runlog.failure.trace_id", "metric", "string", "The trace of the latest failure.")
FAILURE_TRACE_URL = attribute(
    "runlog.failure.trace_url", "metric", "string", "The page of that trace, when `ui` is set."
)
OVERFLOW = attribute(
    "otel.metric.overflow", "metric", "boolean", "`true` on the series for label sets above `metrics.max_series`."
)

OTHER_ERROR = "_OTHER"
STEP_FAILED = "step_failed"
BRANCH_FAILED = "branch_failed"
ABANDONED = "abandoned"
