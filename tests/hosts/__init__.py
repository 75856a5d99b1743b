"""Real small pipelines of the hosts, run as their users run them."""
