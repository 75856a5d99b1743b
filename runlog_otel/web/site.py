"""Where the pages are, for links between them. Pure."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True)
class Site:
    """The served pages as the header of each of them needs them; a report in one file has none.

    `root` is the path under which they are served, without a slash at its end. `section` is the page's part of the
    site (`runs`, `pipelines`, `compare`), `search` the text of the search form.
    """

    root: str = ""
    section: str = ""
    search: str = ""
    home: str = ""
    """The page that names the sources, if there are several."""

    def runs(self, **filters: str) -> str:
        """The list of runs; empty filters are left out."""
        query = urlencode({name: value for name, value in filters.items() if value}, errors="replace")
        return f"{self.root}/" + (f"?{query}" if query else "")

    def run(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.root}/runs/{_segment(run_id)}"

    def pipelines(self) -> str:
        """The list of pipelines."""
        return f"{self.root}/pipelines"

    def pipeline(self, name: str) -> str:
        """The page of a pipeline."""
        return f"{self.root}/pipelines/{_segment(name)}"

    def compare(self, *run_ids: str, tag: str = "") -> str:
        """The comparison of some runs, or of those of a tag; without either, the form that asks for them."""
        query = urlencode([("run", run_id) for run_id in run_ids] + ([("tag", tag)] if tag else []), errors="replace")
        return f"{self.root}/compare" + (f"?{query}" if query else "")

    def static(self, name: str) -> str:
        """A file of the look (`rendering.STATIC`)."""
        return f"{self.root}/static/{name}"


def _segment(text: str) -> str:
    return quote(text, safe="", errors="replace")
