"""Every span, attribute and event name, with its type and its help text: the only place where they stand.

Names of OpenTelemetry's semantic conventions are used where they reach (CI/CD, VCS, exception, error: v1.43, release
candidate); the rest is `runlog.*`. `docs/mapping.md` is made from this module.
"""

from dataclasses import dataclass

SCHEMA_URL = "https://opentelemetry.io/schemas/1.43.0"
SCOPE_NAME = "runlog_otel"
SCOPE_VERSION = "1"
"""The version of the mapping, not of the package: an upgrade that maps alike sends the same bytes."""

HEADER_KEY = "runlog_otel"
"""The one key that the wrapper adds to a run's config."""

MAX_ATTRIBUTE_BYTES = 2047
"""An attribute, and a status description, is shorter than 2,048 bytes."""
MAX_KEY_BYTES = 255
"""The name of an attribute that comes from a user."""
MAX_METRICS = 64
"""User metrics told of one attempt."""
MAX_ITEMS = 64
"""Catalog items told of one step."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name that leaves the process: where it is found, its type, what it tells."""

    name: str
    on: str
    type: str
    help: str


ATTRIBUTES: list[Name] = []
SPANS: list[Name] = []
EVENTS: list[Name] = []


def _attribute(name: str, on: str, type_: str, help_: str) -> str:
    ATTRIBUTES.append(Name(name, on, type_, help_))
    return name


def _event(name: str, on: str, help_: str) -> str:
    EVENTS.append(Name(name, on, "event", help_))
    return name


def _span(name: str, kind: str, help_: str) -> str:
    SPANS.append(Name(name, "", kind, help_))
    return name


RUN_SPAN = _span("RUN {pipeline}", "SERVER", "One execution of a run. A retry is a trace of its own.")
START_SPAN = _span("START {pipeline}", "INTERNAL", "Start marker, without duration: makes a run visible at once.")
STEP_SPAN = _span("{step}", "INTERNAL", "A node of the graph; it envelops its attempts or branches.")
BRANCH_SPAN = _span("{step}/{branch}", "INTERNAL", "A branch of a parallel, conditional or dag node.")
ITERATION_SPAN = _span("{step}/iteration", "INTERNAL", "An iteration of a map or loop node; its value is an attribute.")
ATTEMPT_SPAN = _span("{step} attempt", "INTERNAL", "One try at a step, as its own process saw it.")

SERVICE_NAME = _attribute(
    "service.name", "resource", "string", "The setting `service`, else `OTEL_SERVICE_NAME`, else the pipeline's name."
)

PIPELINE_NAME = _attribute("cicd.pipeline.name", "every span", "string", "The pipeline: its setting, name or file.")
PIPELINE_RUN_ID = _attribute("cicd.pipeline.run.id", "every span", "string", "The host's run id.")
EXECUTION = _attribute("runlog.execution", "every span", "int", "1, and one more for each retry of the run.")

PIPELINE_ACTION = _attribute("cicd.pipeline.action.name", "run", "string", "Always `RUN`.")
PIPELINE_RESULT = _attribute(
    "cicd.pipeline.result", "run", "string", "`success`, `failure` or `error` (it never ended)."
)
PIPELINE_RUN_URL = _attribute("cicd.pipeline.run.url.full", "run", "string", "The trace's page, when `ui` is set.")
RUN_HOST = _attribute("runlog.host", "run", "string", "The tool that ran the pipeline: `runnable`, `magnus`.")
RUN_TAG = _attribute("runlog.run.tag", "run", "string", "The host's tag.")
RUN_DAG_HASH = _attribute("runlog.run.dag_hash", "run", "string", "The host's hash of the graph.")
RUN_ORIGINAL_ID = _attribute("runlog.run.original_id", "run", "string", "The run that this one runs again.")
RUN_USE_CACHED = _attribute("runlog.run.use_cached", "run", "boolean", "Whether this run skips what the original did.")
RUN_DEFINITION = _attribute("runlog.run.definition", "run", "string", "The module or file that defines the pipeline.")
RUN_EXECUTOR = _attribute("runlog.run.executor", "run", "string", "The host's executor: `local`, `argo` …")
RUN_PARAMETERS = _attribute("runlog.run.parameters", "run", "string[]", "Names of the parameters its attempts saw.")

TASK_NAME = _attribute("cicd.pipeline.task.name", "step, attempt", "string", "The step's name, without iterations.")
TASK_RUN_ID = _attribute("cicd.pipeline.task.run.id", "step", "string", "The host's internal name (dot path).")
TASK_RESULT = _attribute(
    "cicd.pipeline.task.run.result", "step", "string", "`success`, `failure`, `error` (never ended) or `skip`."
)
TASK_RUN_URL = _attribute("cicd.pipeline.task.run.url.full", "step", "string", "The span's page, when `ui` is set.")
STEP_TYPE = _attribute("runlog.step.type", "step", "string", "The host's node type: `task`, `map`, `parallel` …")
STEP_PATH = _attribute("runlog.step.path", "attempt", "string", "The host's internal name of the step (dot path).")

BRANCH_NAME = _attribute("runlog.branch.name", "branch", "string", "The branch's name; the value of an iteration.")
BRANCH_PATH = _attribute("runlog.branch.path", "branch", "string", "The host's internal name of the branch (dot path).")
BRANCH_RESULT = _attribute("runlog.branch.result", "branch", "string", "`success`, `failure` or `error` (never ended).")

ATTEMPT_NUMBER = _attribute("runlog.attempt.number", "attempt", "int", "The host's number of the attempt, from 1.")
ATTEMPT_RESULT = _attribute("runlog.attempt.result", "attempt", "string", "`success` or `failure`.")
ATTEMPT_RETRY_INDICATOR = _attribute("runlog.attempt.retry_indicator", "attempt", "string", "The host's, if it is set.")
INPUT_PARAMETERS = _attribute("runlog.parameters.input", "attempt", "string[]", "Names of the parameters it was given.")
OUTPUT_PARAMETERS = _attribute(
    "runlog.parameters.output", "attempt", "string[]", "Names of the parameters it returned."
)
METRIC = _attribute(
    "runlog.metric.{name}",
    "attempt",
    "any scalar",
    "A user-defined metric; the parts of a nested one are joined by dots.",
)

VCS_REVISION = _attribute("vcs.ref.head.revision", "attempt", "string", "The git commit of the code that ran.")
VCS_REPOSITORY = _attribute("vcs.repository.url.full", "attempt", "string", "The git remote, without credentials.")
CODE_IS_CLEAN = _attribute("runlog.code.is_clean", "attempt", "boolean", "Whether the work tree had no change.")
IMAGE_ID = _attribute("container.image.id", "attempt", "string", "The container image's digest.")
IMAGE_NAME = _attribute("container.image.name", "attempt", "string", "The container image, where no digest is known.")
CODE_IDENTITY = _attribute("runlog.code.{type}", "attempt", "string", "Any other code identity: `runlog.code.argo` …")

ERROR_TYPE = _attribute(
    "error.type",
    "run, step, branch, attempt",
    "string",
    "On what did not succeed: the exception's type where the log has it (else `_OTHER`), `step_failed`, "
    "`branch_failed`, or `abandoned` for what never ended.",
)
EXCEPTION_TYPE = _attribute("exception.type", "event exception", "string", "As `error.type`.")
EXCEPTION_MESSAGE = _attribute("exception.message", "event exception", "string", "The attempt's message, redacted.")

CATALOG_NAME = _attribute("runlog.catalog.name", "event runlog.catalog.item", "string", "The file's name.")
CATALOG_STAGE = _attribute("runlog.catalog.stage", "event runlog.catalog.item", "string", "`get` or `put`.")
CATALOG_HASH = _attribute("runlog.catalog.hash", "event runlog.catalog.item", "string", "The file's hash.")
CATALOG_LOCATION = _attribute("runlog.catalog.location", "event runlog.catalog.item", "string", "Where in the catalog.")

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

OTHER_ERROR = "_OTHER"
STEP_FAILED = "step_failed"
BRANCH_FAILED = "branch_failed"
ABANDONED = "abandoned"
