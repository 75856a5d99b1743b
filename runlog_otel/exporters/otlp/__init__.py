"""OTLP: the wire format, its transports, and delivery in the background with a budget and an outbox."""
