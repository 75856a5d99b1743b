"""While a pipeline runs: what becomes final is sent, and the attempt is the current span."""
