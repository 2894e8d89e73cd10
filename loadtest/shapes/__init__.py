"""How the number of users changes over a run. ``--load-shape`` names one.

May import: latencies, thresholds.
"""
