"""Recorded logs of real hosts, and the spans that they map to."""
