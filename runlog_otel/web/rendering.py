"""Renders pages from templates: every text is escaped, and printable. Imports neither Starlette nor a source of runs.

A page that is served links its style and script, and has nothing inline. A report has both inside, each allowed by its
hash, so that it is one file and makes no request.
"""

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runlog_otel.core.headline import counted
from runlog_otel.printable import printable
from runlog_otel.web import formats
from runlog_otel.web.site import Site

STATIC = {
    "style.css": "text/css",
    "pages.css": "text/css",
    "run.js": "text/javascript",
    "pages.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The files of the look, with their media types."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The header of every page that is served."""
_FILTERS = {
    "bytes": formats.size,
    "count": formats.count,
    "counted": counted,
    "duration": formats.duration,
    "iso": formats.iso,
    "moment": formats.moment,
    "number": formats.number,
    "seconds": formats.seconds,
    "short": formats.short,
}


def render(name: str, site: Site | None = None, **context: Any) -> str:
    """A page.

    Args:
        name: its template.
        site: where the other pages are; None for a report, which is one file.
        context: what the template needs: a name that is missing is an error.
    """
    template = _environment().get_template(name)
    return template.render(site=site, own=None if site else _of_report(), **context)


@lru_cache(maxsize=len(STATIC))
def static(name: str) -> str:
    """A file of the look; raises KeyError if there is none of that name."""
    return files("runlog_otel.web").joinpath("static", name).read_text(encoding="utf-8") if STATIC[name] else ""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runlog_otel.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(_FILTERS)
    return environment


def _printable(value: Any) -> Any:
    """What is put into a page: no text forges lines, reorders its surroundings or is invisible."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value, keeps_lines=True)
    return value


@lru_cache(maxsize=1)
def _of_report() -> dict[str, Markup]:
    """The style and the script of a report, and the policy that allows nothing but these."""
    style, script = static("style.css") + static("pages.css"), static("run.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"policy": Markup(policy), "style": Markup(style), "script": Markup(script)}  # noqa: S704 our own files


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
