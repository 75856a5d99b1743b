"""runnable's run log (`runnable.datastore.RunLog`, as its `model_dump` or its JSON has it) as a `Run`."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from runlog_otel.errors import RunLogFormatError
from runlog_otel.model import Attempt, Branch, CatalogItem, CodeIdentity, Header, Run, Scalar, Status, Step
from runlog_otel.names import HEADER_KEY

HOST = "runnable"
JOB_STEP = "job"
"""The one step of a job, which has no name in the log (`runnable.defaults.DEFAULT_JOB_NAME`)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_INT64 = range(-(2**63), 2**63)

Document = Mapping[str, Any]


def run_from_log(log: Document, pipeline: str = "", zone: tzinfo | None = None) -> Run:
    """Map a run log.

    Args:
        log: the document.
        pipeline: the pipeline's name; else what the log says.
        zone: how naive times are read where the log has no header of ours; else the machine's zone.

    Raises:
        RunLogFormatError: the document is not a run log of runnable.
    """
    try:
        config: Document = log.get("run_config") or {}
        header = header_from_config(config)
        clock = Clock(header, zone)
        steps = tuple(step_from_log(step, clock) for step in log["steps"].values())
        if log.get("job"):
            steps = (*steps, step_from_job(log["job"], clock))
        executor = config.get("pipeline_executor") or config.get("job_executor") or {}
        return Run(
            run_id=_text(log["run_id"]),
            pipeline=pipeline or _pipeline(config),
            host=HOST,
            status=Status(log["status"]),
            header=header,
            steps=steps,
            tag=_text(log.get("tag")),
            dag_hash=_text(log.get("dag_hash")),
            original_run_id=_text(log.get("original_run_id")),
            use_cached=bool(log.get("use_cached")),
            definition=_definition(config),
            executor=_text(executor.get("service_name")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = log.get("run_id") if isinstance(log, Mapping) else None
        problem = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise RunLogFormatError(f"the log of {name!r}" if name else "the document", problem) from error


def header_from_config(config: Document) -> Header:
    """What the wrapper wrote into the run config; a header that is not ours is no header."""
    own = config.get(HEADER_KEY)
    try:
        created = datetime.fromisoformat(own["created"])  # type: ignore[index]
        offset = created.utcoffset()
        if offset is None:
            return Header()
        return Header(
            created_ns=_nanoseconds(created),
            utc_offset_seconds=int(offset.total_seconds()),
            traceparent=_text(own.get("traceparent")),  # type: ignore[union-attr]
            retried_ns=tuple(_nanoseconds(datetime.fromisoformat(text)) for text in own.get("retried", ())),  # type: ignore[union-attr]
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return Header()


def config_from_header(created: datetime, traceparent: str, retried: Iterable[datetime] = ()) -> dict[str, Any]:
    """The run config's key for a header; times are aware."""
    own: dict[str, Any] = {"created": created.isoformat(), "traceparent": traceparent}
    if times := [moment.isoformat() for moment in retried]:
        own["retried"] = times
    return {HEADER_KEY: own}


def retried_config(config: Document, now: datetime) -> dict[str, Any]:
    """The run config's key with one more retry in it; a log without our header gets none."""
    own = config.get(HEADER_KEY)
    if not isinstance(own, Mapping):
        return {}
    return {HEADER_KEY: {**own, "retried": [*own.get("retried", ()), now.isoformat()]}}


class Clock:
    """Reads the host's times (`str(datetime.now())`: naive and local) as nanoseconds since the epoch."""

    def __init__(self, header: Header, zone: tzinfo | None = None) -> None:
        offset = header.utc_offset_seconds
        self._zone = zone if offset is None else timezone(timedelta(seconds=offset))

    def __call__(self, text: str) -> int | None:
        """The moment; None where the host has none ("") or wrote no time."""
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone) if self._zone else moment.astimezone()
            return _nanoseconds(moment)
        except (TypeError, ValueError, OverflowError):
            return None


def step_from_log(step: Document, clock: Clock) -> Step:
    """Map a `StepLog`."""
    path = _text(step["internal_name"])
    return Step(
        name=_text(step["name"]),
        path=path,
        kind=_text(step.get("step_type")) or "task",
        status=Status(step["status"]),
        is_mock=bool(step.get("mock")),
        attempts=_attempts(step, clock),
        branches=tuple(_branch(branch, path, clock) for branch in (step.get("branches") or {}).values()),
        catalog=tuple(_catalog_item(item) for item in step.get("data_catalog") or ()),
    )


def step_from_job(job: Document, clock: Clock) -> Step:
    """Map a `JobLog`: a job is a run with one step. Its code identities belong to its attempts."""
    code = (
        [] if any(attempt.get("code_identities") for attempt in job["attempts"]) else job.get("code_identities") or []
    )
    attempts = [attempt | {"code_identities": code} if code else attempt for attempt in job["attempts"]]
    named = {**job, "name": JOB_STEP, "internal_name": JOB_STEP, "step_type": "job", "attempts": attempts}
    return step_from_log(named, clock)


def _branch(branch: Document, step_path: str, clock: Clock) -> Branch:
    path = _text(branch["internal_name"])
    return Branch(
        name=path.removeprefix(f"{step_path}."),
        path=path,
        status=Status(branch["status"]),
        steps=tuple(step_from_log(step, clock) for step in branch["steps"].values()),
    )


def _attempts(step: Document, clock: Clock) -> tuple[Attempt, ...]:
    return tuple(_attempt(attempt, clock) for attempt in step.get("attempts") or ())


def _attempt(attempt: Document, clock: Clock) -> Attempt:
    return Attempt(
        number=int(attempt.get("attempt_number", 1)),
        status=Status(attempt["status"]),
        start_ns=clock(attempt.get("start_time", "")),
        end_ns=clock(attempt.get("end_time", "")),
        message=_text(attempt.get("message")),
        input_parameters=tuple(sorted(attempt.get("input_parameters") or ())),
        output_parameters=tuple(sorted(attempt.get("output_parameters") or ())),
        metrics=dict(sorted(_metrics(attempt.get("user_defined_metrics") or {}))),
        code=tuple(_code(identity) for identity in attempt.get("code_identities") or ()),
        retry_indicator=_text(attempt.get("retry_indicator")),
    )


def _metrics(parameters: Document) -> Iterator[tuple[str, Scalar]]:
    """User metrics: scalars as they are, the parts of nested ones joined by dots."""
    waiting = [(str(name), parameter.get("value")) for name, parameter in parameters.items()]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{name}.{key}", part) for key, part in value.items()]
        elif isinstance(value, bool | float) or (isinstance(value, int) and value in _INT64):
            yield name, value
        elif value is not None:
            yield name, str(value)


def _code(identity: Document) -> CodeIdentity:
    return CodeIdentity(
        kind=_text(identity.get("code_identifier_type")),
        identifier=_text(identity.get("code_identifier")),
        url=_text(identity.get("code_identifier_url")),
        is_dependable=bool(identity.get("code_identifier_dependable")),
    )


def _catalog_item(item: Document) -> CatalogItem:
    return CatalogItem(
        name=_text(item["name"]),
        stage=_text(item.get("stage")),
        data_hash=_text(item.get("data_hash")),
        location=_text(item.get("catalog_relative_path")),
    )


def _definition(config: Document) -> str:
    return _text(config.get("pipeline_definition_file") or config.get("job_definition_file"))


def _pipeline(config: Document) -> str:
    """The graph's name, else the module and function or the YAML file that defines it, else the host's name."""
    name = _text((config.get("dag") or {}).get("name"))
    if name:
        return name
    definition = _definition(config)
    if definition.endswith((".yaml", ".yml")):
        definition = definition.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    return definition or HOST


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _nanoseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
