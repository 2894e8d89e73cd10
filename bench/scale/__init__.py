"""How the cost grows with workers, entries, sizes of values and connections.

May import: frame, testbed.
"""
