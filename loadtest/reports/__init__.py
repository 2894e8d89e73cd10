"""Counts by release, and how they are shown: tables, CSV, an HTML page, Prometheus metrics.

May import: latencies, shapes, thresholds.
"""
