"""Limits of what is exported, and the bounds of histograms."""

MAX_ATTRIBUTE_BYTES = 2047
"""An attribute, and a status description, is shorter than 2,048 bytes."""
MAX_KEY_BYTES = 255
"""The limit of an attribute's name that comes from a user."""
MAX_METRICS = 64
"""User metrics exported for one attempt."""
MAX_PARAMETERS = 64
"""Parameters of an attempt with exported values, or digests: inputs and outputs each."""
MAX_ANNOTATIONS = 128
MAX_EVENTS = 64
"""What the code of an attempt says of itself: annotations, events."""
MAX_EVENT_ATTRIBUTES = 32
MAX_ITEMS = 64
"""Catalog items exported for one step."""

SECOND_NS = 1_000_000_000
DURATION_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
"""Upper bounds of the histograms of durations, in seconds."""
BYTE_BUCKETS = tuple(4**power for power in range(8, 20))
"""Upper bounds of the histograms of bytes: 64 KiB to 256 GiB."""

MAX_ATTEMPT_LABEL = 5
"""Attempts from this number on share a label."""
