"""runnable (0.50): its run log, the store that wraps its stores, and how to find its runs."""
