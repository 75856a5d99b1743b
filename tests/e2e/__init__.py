"""Real pipelines against real and bad backends, read back from where they went."""
