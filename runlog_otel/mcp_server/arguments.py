"""The arguments of the tools; their descriptions are what an agent reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runlog_otel.insight import HISTORY, MAX_HISTORY

MAX_COMPARED = 10
MAX_READ = 200

RunId = Annotated[str, Field(min_length=1, description="The run's id; `latest` is the newest run.")]
Execution = Annotated[
    int, Field(ge=0, description="Which execution of a run that was retried, from 1; 0 is the last one.")
]
Offset = Annotated[
    int, Field(ge=0, description="Leaves out so many entries at the beginning of each list: the `next_offset` before.")
]
Result = Literal["", "success", "failure", "error", "timeout", "cancellation", "skip", "running"]


class Arguments(BaseModel):
    """What every tool takes."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(description="Where the runs are.")] = ""


class ListRuns(Arguments):
    """Of `list_runs`; an empty filter matches every run."""

    pipeline: Annotated[str, Field(description="Only runs of the pipeline of this name.")] = ""
    status: Annotated[str, Field(description="SUCCESS, FAIL, PROCESSING (it runs, or was killed) …")] = ""
    tag: Annotated[str, Field(description="Only runs with this tag.")] = ""
    since: Annotated[str, Field(description="Created at or after: an age (30m, 24h, 7d) or an ISO 8601 time.")] = ""
    until: Annotated[str, Field(description="Created before: an age or an ISO 8601 time.")] = ""
    failure: Annotated[str, Field(description="Text in the message of a failed step, in any case.")] = ""
    limit: Annotated[int, Field(ge=1, le=100, description="Runs per page.")] = 20
    after: Annotated[str, Field(description="The `after` of the page before.")] = ""


class GetRun(Arguments):
    """Of `get_run`."""

    run_id: RunId
    execution: Execution = 0
    offset: Offset = 0


class ListSteps(Arguments):
    """Of `list_steps`."""

    run_id: RunId
    execution: Execution = 0
    step: Annotated[str, Field(description="Only steps of this name or path; every iteration of a name.")] = ""
    result: Annotated[Result, Field(description="Only steps that ended so.")] = ""
    offset: Offset = 0


class Why(Arguments):
    """Of `why`."""

    run_id: RunId
    history: Annotated[
        int, Field(ge=0, le=MAX_HISTORY, description="How many earlier runs of the pipeline are read.")
    ] = HISTORY


class Compare(Arguments):
    """Of `compare`."""

    run_ids: Annotated[
        list[RunId], Field(max_length=MAX_COMPARED, description="From 2 to 10 runs, the one to compare with first.")
    ] = []
    tag: Annotated[str, Field(description="In place of run_ids: the newest 10 runs with this tag.")] = ""
    offset: Offset = 0


class PipelineHistory(Arguments):
    """Of `pipeline_history`."""

    pipeline: Annotated[str, Field(min_length=1, description="The pipeline's name, as `list_runs` shows it.")]
    limit: Annotated[int, Field(ge=1, le=MAX_READ, description="How many of its newest runs are read.")] = 50
    since: Annotated[str, Field(description="Only runs since then: an age (7d) or an ISO 8601 time.")] = ""
    offset: Offset = 0
