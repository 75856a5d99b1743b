"""Events of steps and runs: the catalog items of a step, and what changed since the last successful run."""

from collections.abc import Iterator, Sequence
from itertools import islice

from runlog_otel.core import semconv
from runlog_otel.core.attributes import RawEvent
from runlog_otel.core.model import CatalogItem, Run, Value
from runlog_otel.core.redaction import RedactionPolicy, url_without_credentials


def catalog_events(
    items: tuple[CatalogItem, ...], interval: tuple[int, int], policy: RedactionPolicy
) -> Sequence[RawEvent]:
    """The different catalog items of a step: read at its start, written at its end."""
    if len(items) > 1:
        items = tuple(islice(dict.fromkeys(items), policy.limit(semconv.MAX_ITEMS)))
    return [_catalog_event(item, interval) for item in items]


def change_events(run: Run, number: int, at_ns: int) -> Iterator[RawEvent]:
    """The changes that were noted when an execution failed."""
    for changes in run.header.changes:
        if changes.execution != number:
            continue
        attributes: dict[str, Value] = {
            semconv.CHANGES_SINCE: changes.since,
            semconv.CHANGES_REVISION_BEFORE: changes.revision_before,
            semconv.CHANGES_REVISION: changes.revision,
            semconv.CHANGES_PARAMETERS: changes.parameters,
            semconv.CHANGES_FILES: changes.files,
        }
        yield semconv.CHANGES_EVENT, at_ns, {key: value for key, value in attributes.items() if value}


def _catalog_event(item: CatalogItem, interval: tuple[int, int]) -> RawEvent:
    attributes = {
        semconv.CATALOG_NAME: item.name,
        semconv.CATALOG_STAGE: item.stage,
        semconv.CATALOG_HASH: item.data_hash,
        semconv.CATALOG_LOCATION: url_without_credentials(item.location),
    }
    at_ns = interval[0] if item.stage == "get" else interval[1]
    return semconv.CATALOG_EVENT, at_ns, {key: value for key, value in attributes.items() if value}
