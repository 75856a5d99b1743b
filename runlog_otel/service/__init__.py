"""`runlog-otel serve`: counts runs, keeps the totals, resends traces."""
