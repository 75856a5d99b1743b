"""What a log holds cannot act on a page, and what may not leave is not on it."""

import re
import unicodedata

import pytest

from runlog_otel.core.redaction import fingerprint_of
from tests.web.conftest import Document, Page, Pages, Runs, attempt, run, step

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7919*7907}}"
ANSI = "\x1b[2J\x1b]0;owned\x07"
BIDI = "\u202egnp.exe\u2066\ufeff\u200b"
EVIL = f"{SCRIPT}{ANSI}{BIDI}"
CANARY = "canary-value-9431"
TEXTS = {"markup": SCRIPT, "terminal": ANSI + "x", "direction": BIDI + "x", "all": EVIL, "long": "x" * 100_000}


def everywhere(text: str) -> Document:
    """A run with a text wherever a log has one."""
    said = f'{text}: {text}\n\nTraceback (most recent call last):\n  File "{text}", line 1, in {text}\n'
    failed = attempt(
        "FAIL",
        said,
        user_defined_metrics={text: {"kind": "metric", "value": 1}, "m": {"kind": "metric", "value": text}},
    )
    failed["input_parameters"] = {text: {"kind": "json", "value": text}}
    failed["code_identities"] = [{"code_identifier": text, "code_identifier_type": "git", "code_identifier_url": text}]
    inner = step(text, failed, internal_name=f"map.{text}.{text}")
    branch = {"internal_name": f"map.{text}", "status": "FAIL", "steps": {text: inner}, "parameters": {}}
    items = [{"name": text, "stage": "put", "data_hash": text, "catalog_relative_path": text}]
    steps = [
        step(text, failed, attempt(), data_catalog=items),
        {**step("map"), "attempts": [], "status": "FAIL", "step_type": "map", "branches": {f"map.{text}": branch}},
    ]
    return run("evil", *steps, status="FAIL", pipeline=text, tag=text, dag_hash=text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_of_a_log_is_only_text(runs: Runs, pages: Pages, text: str) -> None:
    """No tag, no attribute, no control and no invisible character of it is in a page, and no page is huge."""
    runs.put(everywhere(text))
    runs.put({**everywhere(text), "run_id": "evil-2"})
    client = pages()
    links = {str(a["href"]) for tag, a in Page(client.get("/pipelines").text).tags if tag == "a"}
    pipelines = [link for link in links if link.startswith("/pipelines/")]
    for path in ("/", "/pipelines", *pipelines, "/runs/evil", "/compare?run=evil&run=evil-2"):
        answer = client.get(path)
        assert (path, answer.status_code) == (path, 200)
        assert len(answer.content) < 1_000_000
        page = Page(answer.text)
        assert {tag for tag, _ in page.tags}.isdisjoint({"img", "iframe", "object"})
        assert all(
            str(attributes.get("src")).startswith("/static/") for tag, attributes in page.tags if tag == "script"
        )
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert not any(str(a["href"]).lower().startswith(("javascript:", "data:")) for _, a in page.tags if "href" in a)
        assert str(7919 * 7907) not in answer.text
        odd = {character for character in answer.text if unicodedata.category(character) in ("Cc", "Cf", "Cs")} - {"\n"}
        assert odd == set()


def test_a_run_of_a_hostile_id_has_a_page(runs: Runs, pages: Pages) -> None:
    """Its link leads there, if its store can keep it."""
    run_id = "a b?c#d&e=<i>'\"ä"
    runs.put(run(run_id, step("a")))
    client = pages()
    links = [str(a["href"]) for tag, a in Page(client.get("/").text).tags if tag == "a"]
    (link,) = [link for link in links if link.startswith("/runs/")]
    answer = client.get(link)
    assert answer.status_code == 200
    assert run_id in Page(answer.text).text


def _secretive() -> Document:
    """A run with secrets: one of a known form, one that its process fingerprinted, values of parameters."""
    secret, run_id = "hunter2-hunter2", "secretive"
    mark = fingerprint_of(secret, run_id)
    failed = attempt(
        "FAIL", f'ValueError: {secret} password={CANARY}\n\nTraceback (most recent call last):\n  File "a.py"\n'
    )
    failed["input_parameters"] = {
        "rate": {"kind": "json", "value": CANARY},
        "db_password": {"kind": "json", "value": "s3cr3t!"},
    }
    failed["code_identities"] = [
        {
            "code_identifier": f"{mark.characters}:{mark.digest}:{mark.outline}",
            "code_identifier_type": "runlog_otel.marks",
            "code_identifier_dependable": True,
            "code_identifier_url": "",
            "code_identifier_message": "",
        }
    ]
    return run(run_id, step("load", failed), status="FAIL", tag=f"token={CANARY}")


def test_what_may_not_leave_is_not_shown(runs: Runs, pages: Pages) -> None:
    """Values of parameters and secrets in texts, on any page, or in its links."""
    runs.put(_secretive())
    runs.put({**_secretive(), "run_id": "secretive-2"})
    client = pages()
    for path in ("/", "/pipelines", "/pipelines/train", "/runs/secretive", "/compare?run=secretive&run=secretive-2"):
        text = client.get(path).text
        assert (path, [secret for secret in (CANARY, "s3cr3t!") if secret in text]) == (path, [])


def test_values_are_revealed_on_demand(runs: Runs, pages: Pages) -> None:
    """Those of parameters, but not of one named like a secret; secrets in texts stay masked."""
    runs.put(_secretive())
    text = pages(is_revealing=True).get("/runs/secretive").text
    assert (CANARY in text, "s3cr3t!" in text, f"password={CANARY}" in text) == (True, False, False)


def test_an_address_in_a_log_leads_nowhere_but_the_web(runs: Runs, pages: Pages) -> None:
    """Of the remote of its code, only http(s) becomes a link."""
    identity = {"code_identifier": "a" * 40, "code_identifier_type": "git", "code_identifier_dependable": True}
    for number, url in enumerate(("javascript:alert(1)", "https://git.example/team/code")):
        known = {**identity, "code_identifier_url": url}
        runs.put(run(f"r{number}", step("a", attempt(code_identities=[known]))))
    client = pages()
    found = [set(re.findall(r'href="([a-z]+:[^"]*)"', client.get(f"/runs/r{number}").text)) for number in (0, 1)]
    assert all(link.startswith("https://") for link in found[0])  # as an address of ssh: host:path
    assert all(link.startswith("https://git.example/team/code") for link in found[1])
