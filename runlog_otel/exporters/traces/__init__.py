"""Spans on their way out: delivery in the background, the outbox, resending."""
