"""The plugins of magnus."""
