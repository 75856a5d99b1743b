"""The benchmarks work; what they measure is asserted nowhere."""
