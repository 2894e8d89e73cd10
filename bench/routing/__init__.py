"""Whether tests of routes are quick and sure, and whether ``diff`` finds every difference.

May import: frame.
"""
