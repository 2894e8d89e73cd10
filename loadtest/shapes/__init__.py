"""How the number of users changes over a run. ``--shape`` names one.

May import: latencies, thresholds.
"""
