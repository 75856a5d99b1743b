"""The application of the pages: which URL shows what, read-only, over any number of sources."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from runlog_otel.errors import ConfigError, RunlogOtelError, RunNotFoundError
from runlog_otel.loggers import package_logger
from runlog_otel.sources.port import Source, one_line
from runlog_otel.web import formats
from runlog_otel.web.compare_page import compare_view
from runlog_otel.web.pipeline_page import PIPELINES, pipeline_lines, pipeline_view
from runlog_otel.web.reader import RunReader, now_ns
from runlog_otel.web.rendering import STATIC, render, static
from runlog_otel.web.run_page import run_page
from runlog_otel.web.runs_page import STATUSES, query_from_url, runs_view, with_failure
from runlog_otel.web.security import Access, Guard
from runlog_otel.web.site import Site

logger = package_logger(__name__)

Show = Callable[[RunReader, Site, Request], Response]
_NOT_FOUND, _WRONG, _UNAVAILABLE, _UNFORESEEN = 404, 400, 503, 500
_TITLES = {
    _NOT_FOUND: "Not found",
    _WRONG: "This cannot be asked",
    _UNAVAILABLE: "The runs cannot be read",
    _UNFORESEEN: "This page failed",
}
_MAX_SEARCHED = 1000


def pages_app(sources: Sequence[Source], access: Access | None = None, *, is_revealing: bool = False) -> Starlette:
    """The application.

    Args:
        sources: where the runs are; the pages of several are below `/1`, `/2` … in their order.
        access: who may read.
        is_revealing: whether values of all parameters are shown, but not those named like a secret.
    """
    roots = [""] if len(sources) == 1 else [f"/{number}" for number in range(1, len(sources) + 1)]
    shown = [
        (Site(root, home="/" if root else ""), RunReader(source, is_revealing=is_revealing))
        for root, source in zip(roots, sources, strict=True)
    ]
    routes: list[Any] = [Route("/", partial(_index, shown))] if len(shown) > 1 else []
    routes += [Mount(site.root, routes=_routes(site, reader)) for site, reader in shown]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access=access or Access())],
        exception_handlers={HTTPException: partial(_of_http, shown[0][0])},
    )


def _routes(site: Site, reader: RunReader) -> list[Route]:
    def route(path: str, show: Show, section: str = "") -> Route:
        return Route(path, partial(_answer, show, reader, replace(site, section=section)))

    return [
        route("/", show_runs, "runs"),
        route("/runs/{run_id:path}", show_run, "runs"),
        route("/pipelines", show_pipelines, "pipelines"),
        route("/pipelines/{name:path}", show_pipeline, "pipelines"),
        route("/compare", show_compare, "compare"),
        Route("/static/{name}", _file),
    ]


def _answer(show: Show, reader: RunReader, site: Site, request: Request) -> Response:
    """A page, or the page that says why there is none."""
    try:
        return show(reader, site, request)
    except RunNotFoundError as error:
        return _problem(site, _NOT_FOUND, one_line(error))
    except ConfigError as error:
        return _problem(site, _WRONG, one_line(error))
    except (RunlogOtelError, OSError) as error:
        logger.warning("%s", one_line(error))
        return _problem(site, _UNAVAILABLE, one_line(error))
    except Exception as error:  # noqa: BLE001 - one odd run must not end the server, or show a traceback
        logger.warning("%s failed: %s", request.url.path, one_line(error))
        return _problem(site, _UNFORESEEN, one_line(error))


def show_runs(reader: RunReader, site: Site, request: Request) -> Response:
    """The list of runs; the search form leads to a run by its id, else to the runs that failed with its text."""
    searched = request.query_params.get("q", "").strip()[:_MAX_SEARCHED]
    if searched:
        is_run = reader.has(searched)
        to = site.run(searched) if is_run else site.runs(**with_failure(searched).filters)
        return RedirectResponse(to, 303)
    view = runs_view(reader, query_from_url(request.query_params), now_ns())
    return _page("runs.html", site, view=view, statuses=STATUSES)


def show_run(reader: RunReader, site: Site, request: Request) -> Response:
    """A run; its source says where the output of its attempts is."""
    run = reader.source.run(request.path_params["run_id"])
    page = run_page(
        run,
        reader.settings,
        now_ns=now_ns(),
        is_revealing=reader.is_revealing,
        read_output=partial(reader.source.output, run.run_id),
        history=reader.history_before(run),
        site=site,
    )
    return _page("run.html", site, page=page)


def show_pipelines(reader: RunReader, site: Site, request: Request) -> Response:
    """The list of pipelines, by name."""
    names = reader.history.pipelines(PIPELINES + 1, after=request.query_params.get("after", ""))
    following = names[PIPELINES - 1] if len(names) > PIPELINES else ""
    lines = pipeline_lines(reader, site, names[:PIPELINES], now_ns())
    return _page("pipelines.html", site, lines=lines, following=following)


def show_pipeline(reader: RunReader, site: Site, request: Request) -> Response:
    """A pipeline over its last runs."""
    name = request.path_params["name"]
    view = pipeline_view(reader, site, name, now_ns())
    if view is None:
        return _problem(site, _NOT_FOUND, f"no run of a pipeline {formats.short(name)!r} is found")
    return _page("pipeline.html", site, view=view, pipeline=name)


def show_compare(reader: RunReader, site: Site, request: Request) -> Response:
    """Runs side by side; without any, the form that asks for them."""
    run_ids = [run_id for run_id in request.query_params.getlist("run") if run_id]
    tag = request.query_params.get("tag", "")
    view = compare_view(reader, run_ids, tag) if run_ids or tag else None
    return _page("compare.html", site, view=view, tag="" if run_ids else tag)


def _index(shown: Sequence[tuple[Site, RunReader]], request: Request) -> Response:
    places = [(site.runs(), reader.source.where) for site, reader in shown]
    return _page("sources.html", shown[0][0], places=places)


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(_NOT_FOUND)
    return Response(static(name), media_type=STATIC[name])


def _page(template: str, site: Site, code: int = 200, **context: Any) -> Response:
    return HTMLResponse(render(template, site, **context), code)


def _problem(site: Site, status: int, problem: str) -> Response:
    return _page("problem.html", site, status, status=status, title=_TITLES[status], problem=problem)


async def _of_http(site: Site, _: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else _UNFORESEEN
    return _problem(site, status if status in _TITLES else _WRONG, "There is no such page.")
