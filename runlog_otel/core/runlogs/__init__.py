"""Mappings from the documents that hosts write to a `Run`."""
