"""The files of `runlog-otel demo`, copied as they are."""
