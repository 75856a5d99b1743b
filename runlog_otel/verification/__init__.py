"""Reads back what backends have, and compares it with the log."""
