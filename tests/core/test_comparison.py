"""Two executions stand side by side: their steps, and what differs; no value that may not be shown is."""

import json
from dataclasses import replace
from typing import Any

from runlog_otel.core import semconv
from runlog_otel.core.comparison import Difference, comparison_of, differences_between
from runlog_otel.core.diagnosis import document_of
from runlog_otel.core.execution_record import ExecutionRecord
from runlog_otel.core.model import CatalogItem, CodeIdentity, Facts, Header, Run, Status
from runlog_otel.core.redaction import RedactionPolicy
from tests.core.logs import at, attempt, task, verdict
from tests.core.test_first_cause import records_of_run

OLD, NEW = "a" * 40, "b" * 40


def executed(
    run_id: str,
    *,
    revision: str = OLD,
    is_clean: bool = True,
    host: str = "worker-1",
    image: str = "",
    inputs: dict[str, Any] | None = None,
    returned: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
    seconds: float = 10,
    branch: str = "main",
    steps: tuple[str, ...] = ("load", "train"),
    policy: RedactionPolicy | None = None,
) -> ExecutionRecord:
    """A success of steps that took this long each."""
    code = [CodeIdentity("git", revision, is_dependable=is_clean)]
    code += [CodeIdentity("docker", image)] if image else []
    own = []
    for number, name in enumerate(steps):
        tried = replace(
            attempt(number * seconds, (number + 1) * seconds),
            code=tuple(code),
            facts=Facts({semconv.HOST_NAME: host}),
            input_values=inputs or {},
            output_values=returned or {},
        )
        items = tuple(CatalogItem(file, "get", digest) for file, digest in (files or {}).items())
        own.append(replace(task(name, tried), catalog=items))
    header = Header(created_ns=at(0), facts={semconv.VCS_REF_NAME: branch})
    run = Run(run_id, "shop", "runnable", Status.SUCCESS, header, (*own, verdict("success", len(steps) * seconds)))
    (record,) = records_of_run(run, policy)
    return record


def test_equal_executions_do_not_differ() -> None:
    assert differences_between(executed("a"), executed("b")) == ()


def test_code_image_and_machine_are_told() -> None:
    """Once, if all steps differ alike."""
    before = executed("a", image="registry.example.org/shop:1")
    after = executed(
        "b", revision=NEW, is_clean=False, host="worker-2", image="registry.example.org/shop:2", branch="next"
    )
    assert differences_between(before, after) == (
        Difference("revision", "", OLD, NEW),
        Difference("work_tree", "", "clean", "with changes"),
        Difference("branch", "", "main", "next"),
        Difference("image", "", "1", "2"),
        Difference("machine", "", "worker-1", "worker-2"),
    )


def test_parameters_are_told_by_name_and_their_values_are_not_shown() -> None:
    """Unless the settings allow it."""
    before, after = {"rows": 1, "key": "s3cret-one"}, {"rows": 2, "key": "s3cret-two", "more": True}
    hidden = comparison_of(executed("a", inputs=before), executed("b", inputs=after))
    assert hidden.differences == (
        Difference("parameter", "key"),
        Difference("parameter", "more", "(not set)", ""),
        Difference("parameter", "rows"),
    )
    assert "s3cret" not in json.dumps(document_of(hidden))
    policy = RedactionPolicy(parameters=("rows",))
    shown = differences_between(executed("a", inputs=before, policy=policy), executed("b", inputs=after, policy=policy))
    assert Difference("parameter", "rows", "1", "2") in shown
    assert Difference("parameter", "key") in shown


def test_secrets_among_allowed_parameters_are_masked() -> None:
    """By name, whatever the value, and by content."""
    policy = RedactionPolicy(parameters=("*",))
    before, after = (
        executed(name, inputs={"db_password": f"canary-{name}", "url": f"token=canary-{name}"}, policy=policy)
        for name in ("a", "b")
    )
    assert differences_between(before, after) == (
        Difference("parameter", "db_password"),
        Difference("parameter", "url", "token=********", "token=********"),
    )


def test_digests_of_parameters_are_shown_if_they_are_exported() -> None:
    """The same digests as in spans."""
    policy = RedactionPolicy(has_digests=True)
    (difference,) = differences_between(
        executed("a", inputs={"rows": 1}, policy=policy), executed("b", inputs={"rows": 2}, policy=policy)
    )
    assert len(difference.before) == len(difference.after) == 16
    assert difference.before != difference.after


def test_what_only_one_run_returned_is_no_difference() -> None:
    """It may have failed before."""
    before, after = executed("a", returned={"score": 1, "rows": 3}), executed("b", returned={"score": 2})
    assert differences_between(before, after) == (Difference("returned", "score"),)


def test_files_with_other_hashes_are_told() -> None:
    """With both hashes; a file that only one run has is none."""
    before, after = executed("a", files={"a.csv": "1", "b.csv": "1"}), executed("b", files={"a.csv": "2", "c.csv": "1"})
    assert differences_between(before, after) == (Difference("catalog", "a.csv", "1", "2"),)


def test_steps_stand_side_by_side_and_slower_ones_are_sorted() -> None:
    """One that ran in one execution only has no change."""
    comparison = comparison_of(executed("a"), executed("b", seconds=30, steps=("load", "train", "check")))
    assert [(pair.key, pair.before_ns is None, pair.after_ns is None) for pair in comparison.steps] == [
        ("load", False, False),
        ("train", False, False),
        ("check", True, False),
    ]
    assert [(pair.key, pair.change_ns) for pair in comparison.slower] == [
        ("load", 20 * semconv.SECOND_NS),
        ("train", 20 * semconv.SECOND_NS),
    ]
    assert (comparison.before.run_id, comparison.after.run_id) == ("a", "b")


def test_a_comparison_is_plain_json() -> None:
    document = document_of(comparison_of(executed("a"), executed("b", revision=NEW)))
    assert json.loads(json.dumps(document)) == document
    assert document["differences"] == [{"kind": "revision", "name": "", "before": OLD, "after": NEW}]
