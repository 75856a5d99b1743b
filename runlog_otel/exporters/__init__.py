"""Exporters: OTLP, and any installed span exporter of the OpenTelemetry SDK."""
