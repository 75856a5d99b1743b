"""Every name stands in one module, with its type and its help."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from docs.generate import FOLDER, PAGES
from runlog_otel.core import semconv
from runlog_otel.core.spans import spans_from_run
from tests.core.logs import attempt, run, task, verdict

_CONVENTIONS = ("cicd", "container", "error", "exception", "host", "k8s", "oci", "process", "service", "vcs")


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_are_up_to_date(page: str) -> None:
    """`make docs` would write the page as it is."""
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page]()


@pytest.mark.parametrize("name", [n.name for n in semconv.ATTRIBUTES if n.name.partition(".")[0] in _CONVENTIONS])
def test_names_of_the_conventions_exist_there(name: str) -> None:
    """What is not `runlog.*` is in OpenTelemetry's own list of attributes."""
    group = name.partition(".")[0]
    attributes = import_module(f"opentelemetry.semconv._incubating.attributes.{group}_attributes")
    assert name in vars(attributes).values()


def test_every_other_name_is_ours() -> None:
    """But for those of an overflow (OpenTelemetry's metrics SDK) and of log records."""
    others = [n.name for n in semconv.ATTRIBUTES if n.name.partition(".")[0] not in (*_CONVENTIONS, "runlog")]
    assert set(others) == {"otel.metric.overflow", "log.record.uid", "log.iostream"}


def test_no_name_stands_twice() -> None:
    """A name means one thing."""
    every = [name.name for name in (*semconv.ATTRIBUTES, *semconv.EVENTS)]
    assert len(set(every)) == len(every)


def test_spans_use_only_names_that_are_documented() -> None:
    """The mapping's attributes are those of the list."""
    known = {name.name for name in semconv.ATTRIBUTES}
    (trace,) = spans_from_run(run(task("a", attempt(1, 2, ok=False)), verdict("fail", 3)))
    assert {key for span in trace.spans for key in span.attributes} <= known


def test_names_stand_nowhere_else() -> None:
    """No other module of the package spells an attribute, a metric or a span's name of ours, nor a part of one."""
    groups = "|".join(group for group in (*_CONVENTIONS, "runlog") if group != "service")
    spelled = re.compile(rf"[\"'](?:(?:{groups})\.[\w.{{}}]*|service\.name|(?:RUN|START) {{.*}}|{{.*}} attempt)[\"']")
    package = Path(semconv.__file__).parents[2]
    assert [
        path.name
        for path in package.rglob("*.py")
        if path.parent.name != "semconv" and spelled.search(path.read_text())
    ] == []
