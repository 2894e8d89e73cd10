"""A load test with Locust: simulated users, shapes of load, thresholds and reports.

May import: nothing of this project.
"""
