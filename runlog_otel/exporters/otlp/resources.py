"""The resource of each run's spans: what a process knows, and which run it is (CI/CD resource conventions)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from runlog_otel.core.model import Value
from runlog_otel.core.semconv import PIPELINE_NAME, PIPELINE_RUN_ID
from runlog_otel.core.trace import Attributes, Span


def spans_by_resource(
    resource: Mapping[str, str], spans: Sequence[Span]
) -> Iterator[tuple[Attributes, Iterable[Span]]]:
    """Spans with the resource of their run; those of one run that stand together share it."""
    if not spans:  # `check` sends none
        yield resource, ()
    for (pipeline, run_id), of_run in groupby(spans, _run_of):
        identity = {PIPELINE_NAME: pipeline, PIPELINE_RUN_ID: run_id}
        yield {**resource, **{name: value for name, value in identity.items() if value is not None}}, of_run


def _run_of(span: Span) -> tuple[Value | None, Value | None]:
    attributes = span.attributes
    return attributes.get(PIPELINE_NAME), attributes.get(PIPELINE_RUN_ID)
