"""Benchmark metrics on the host, in float64."""
