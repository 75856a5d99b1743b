"""Real backends for the end-to-end tests, run as plain processes: `python3 -m tests.peers` installs them."""
