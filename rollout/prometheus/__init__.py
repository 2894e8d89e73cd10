"""Evidence from Prometheus: one instant query of raw counters per reading.

May import: evidence, lint, manifests, plan, runner.
"""
