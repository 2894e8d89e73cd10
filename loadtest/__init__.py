"""Load tests, benchmarks and faults."""
