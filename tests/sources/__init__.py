"""Sources of runs that need no host."""
