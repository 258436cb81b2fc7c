"""Networks and predictions scored: the sets of a run, and benchmarks."""
