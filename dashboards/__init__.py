"""Grafana's dashboards and alert rules, made of the metrics in `names`: `python -m dashboards.generate` writes them."""
