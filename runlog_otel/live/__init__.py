"""While a pipeline runs: exports what is final, and makes the attempt the current span."""
