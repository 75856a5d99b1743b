"""Ways out of the process: OTLP, and whatever span exporter is installed."""
