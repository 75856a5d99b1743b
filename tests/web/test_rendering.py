"""The frame of all pages: what is in it, and what a hostile text cannot do."""

import base64
import hashlib
import re

import jinja2
import pytest

from runlog_otel.web.rendering import CONTENT_SECURITY_POLICY, STATIC, render, static
from runlog_otel.web.site import Site
from tests.web.pages import Page


def test_a_served_page_has_nothing_inline() -> None:
    """Its policy allows files of the same origin only, so an attribute `style` or a script in it has no effect."""
    page = Page(text := render("base.html", Site("/at")))
    assert "<style" not in text
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [
        {"src": "/at/static/run.js", "defer": None}
    ]
    assert [
        name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")
    ] == []
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_a_report_has_style_and_script_inside_and_their_hashes_in_its_policy() -> None:
    """The policy refuses any other style or script, and every request."""
    text = render("base.html")
    policy = next(
        str(attributes["content"])
        for tag, attributes in Page(text).tags
        if "Content-Security-Policy" in attributes.values() and tag == "meta"
    )
    for tag in ("style", "script"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert (len(inside), f"{tag}-src 'sha256-{digest}'" in policy) == (1, True)
    assert policy.startswith("default-src 'none'; ")
    assert [tag for tag, attributes in Page(text).tags if "src" in attributes or tag == "link"] == []


def test_the_page_says_where_one_is() -> None:
    """One landmark of each kind, a way past the header, the current section marked."""
    page = Page(render("base.html", Site(section="pipelines", search='"><script>')))
    names = [tag for tag, _ in page.tags]
    assert [names.count(name) for name in ("header", "nav", "main", "script")] == [1, 1, 1, 1]
    assert [attributes["href"] for _, attributes in page.tags if "aria-current" in attributes] == ["/pipelines"]
    assert ("a", {"class": "skip", "href": "#content"}) in page.tags
    assert ('"><script>') in [attributes.get("value") for _, attributes in page.tags]


def test_links_between_pages_are_quoted() -> None:
    """A run id, a pipeline and a tag are any text."""
    site = Site("/at")
    assert site.run("a/../b?c#d\udcff") == "/at/runs/a%2F..%2Fb%3Fc%23d%3F"
    assert site.pipeline("p q") == "/at/pipelines/p%20q"
    assert site.compare("a", "b&c") == "/at/compare?run=a&run=b%26c"
    assert (site.runs(), site.runs(q="x y", tag="")) == ("/at/", "/at/?q=x+y")


def test_every_file_of_the_look_is_there_and_ends_no_element() -> None:
    """They stand inside of elements of a report."""
    for name in STATIC:
        assert static(name)
        assert "</s" not in static(name).replace("</svg", "")


def test_only_files_of_the_look_are_given() -> None:
    """A name from a URL is looked up, not opened."""
    with pytest.raises(KeyError):
        static("../rendering.py")
    with pytest.raises(jinja2.TemplateNotFound):
        render("../rendering.py")
