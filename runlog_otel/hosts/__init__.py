"""One module per host: its plugin class, and the mapping from its run log to ours."""
