"""The pure core: every mapping from a run log to telemetry. Imports nothing but the standard library."""
