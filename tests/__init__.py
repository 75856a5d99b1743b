"""Tests: core (pure), exporters, hosts (real pipelines), cli, e2e (real backends)."""
