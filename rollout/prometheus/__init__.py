"""Evidence from Prometheus: raw counters, one question a reading."""
