"""Pipelines of runnable, each a module of its own that a test copies into a project and runs as a program."""
