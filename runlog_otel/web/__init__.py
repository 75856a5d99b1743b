"""Pages of runs. `rendering` and `run_page` need Jinja2 alone, so that `report` works without a server."""
