"""runnable: its plugin classes, and the mapping from its run log to ours."""
